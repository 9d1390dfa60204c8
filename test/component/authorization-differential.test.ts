import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compiledInbound } from "./support/authorization/compiled.js";
import { comparePairs } from "./support/authorization/differential.js";
import { createIdentities, type Identities } from "./support/authorization/proxies.js";

const test = suite<{ identities: Identities }>("AuthorizationPolicy: proxies against the specification");

test.before(async (context) => {
  context.identities = await createIdentities();
});

/** Pods without any policy, whoever calls them. */
const unguarded: typeof compiledInbound = (situation, accessLogFile) =>
  compiledInbound({ ...situation, policies: [] }, accessLogFile);
const allowing = () => ({ verdict: "allow", shadow: {}, isAudited: false }) as const;

test("without policies each request of the comparison is taken: what is refused is refused by policies", async ({
  identities,
}) => {
  const { compared, allowed, disagreement } = await comparePairs({
    compile: unguarded,
    identities,
    expected: allowing,
    pairs: 500,
  });
  assert.is(disagreement, undefined, disagreement);
  assert.is(allowed, compared);
});

test("a disagreement is found, made small and told in full", async ({ identities }) => {
  const { disagreement } = await comparePairs({ compile: unguarded, identities, pairs: 100 });
  assert.match(disagreement ?? "", /kind: AuthorizationPolicy.*specification: {"verdict":"deny".*proxy: allow/s);
});

test.run();
