import { suite } from "uvu";
import * as assert from "uvu/assert";
import { compiledInbound } from "./support/authorization/compiled.js";
import { comparePairs, pairCount, seed } from "./support/authorization/differential.js";
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
  assert.not(disagreement, disagreement);
  assert.is(allowed, compared);
});

test("a disagreement is found, made small and told in full", async ({ identities }) => {
  const { disagreement } = await comparePairs({ compile: unguarded, identities, pairs: 100 });
  assert.match(disagreement ?? "", /kind: AuthorizationPolicy.*specification: {"verdict":"deny".*proxy: allow/s);
});

test(`${pairCount} pairs of policies and request are decided as the specification has it`, async ({ identities }) => {
  console.log(`seed ${seed}`);
  const { compared, allowed, disagreement } = await comparePairs({ compile: compiledInbound, identities });
  assert.not(disagreement, disagreement);
  assert.ok(compared >= pairCount);
  assert.ok(allowed > compared / 4 && allowed < (compared * 3) / 4, `${allowed} of ${compared} were allowed`);
});

test.run();
