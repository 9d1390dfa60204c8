import { test } from "uvu";
import * as assert from "uvu/assert";
import { podIdentities } from "../../../../src/cli/identity.js";
import { typeUrls } from "../../../../src/compile/resources.js";
import { secretResources } from "../../../../src/compile/tls.js";
import { openAuthority } from "../../../../src/identity/authority.js";
import { createMemorySecrets } from "../../../../src/identity/memory-secrets.js";
import type { WorkloadSecrets } from "../../../../src/identity/workload.js";
import { createHoldings } from "../../../../src/main/certificates/holdings.js";

/** What is known of a proxy's certificate as it is sent, taken and rejected, and what the command line says about it. */
const proxy = { namespace: "shop", podName: "cart-1", podUid: "uid", serviceAccount: "cart" };
const authority = await openAuthority(createMemorySecrets(), "cluster.local");
const other = await openAuthority(createMemorySecrets(), "cluster.local");

const issue = async (by = authority, rootsPem = authority.rootsPem): Promise<WorkloadSecrets> => ({
  ...(await by.issue({ uri: "spiffe://cluster.local/ns/shop/sa/cart" }, 3600)),
  rootsPem,
});

const opened = () => {
  const holdings = createHoldings();
  const record = holdings.open(proxy);
  const push = (secrets: WorkloadSecrets) => {
    const resources = secretResources(secrets);
    record.written(secrets, resources);
    return (delivery: "sent" | "held" | "rejected") => record.delivered(typeUrls.secret, [[], resources], delivery);
  };
  const state = (signingRoot: string): readonly [boolean | undefined, boolean | undefined, string | undefined] => {
    const [identity] = podIdentities({
      source: "heddled",
      replica: "heddled-1",
      signingRoot,
      identities: holdings.list(),
    });
    return [identity?.acknowledged, identity?.current, identity?.problem];
  };
  return { holdings, record, push, state };
};

test("a certificate counts when the proxy has acknowledged it, and the one before until then", async () => {
  const { holdings, push, state } = opened();
  const first = await issue();
  const { root } = first;
  const answerFirst = push(first);
  assert.is(holdings.list()[0]!.state, "unasked");
  assert.equal(state(root), [false, true, undefined], "a proxy that asks for nothing has no problem");
  answerFirst("sent");
  assert.match(String(state(root)[2]), "has not acknowledged a certificate yet");
  assert.equal(holdings.summary(), { proxies: 1, trusting: 0, behind: ["shop/cart-1"], byRoot: {} });
  answerFirst("held");
  assert.equal(state(root), [true, true, undefined]);
  assert.equal(holdings.summary(), { proxies: 1, trusting: 1, behind: [], byRoot: { [root]: 1 } });

  const second = await issue(other, authority.rootsPem + other.rootsPem);
  const answerSecond = push(second);
  answerSecond("sent");
  assert.equal(holdings.summary(), { proxies: 1, trusting: 0, behind: ["shop/cart-1"], byRoot: { [root]: 1 } });
  assert.equal(state(second.root).slice(0, 2), [true, false]);
  assert.match(String(state(second.root)[2]), "of an earlier root");
  assert.is(holdings.list()[0]!.held!.root, root);
  answerSecond("rejected");
  assert.match(String(state(second.root)[2]), "has rejected its last certificate");
  answerSecond("held");
  assert.equal(state(second.root), [true, true, undefined]);
  assert.equal(holdings.summary().byRoot, { [second.root]: 1 });
  assert.is(holdings.list()[0]!.held, undefined);
});

test("a proxy that comes back with the roots of now is not behind, and one that has gone is forgotten", async () => {
  const { holdings, record, push } = opened();
  const secrets = await issue();
  push(secrets);
  const roots = secretResources(secrets).filter(({ name }) => name === "ROOTCA");
  record.delivered(typeUrls.secret, [roots], "held");
  assert.is(holdings.summary().trusting, 1);
  record.delivered(typeUrls.cluster, [[{ name: "default", version: "x", encoded: new Uint8Array() }]], "rejected");
  assert.is(holdings.list()[0]!.state, "unasked", "a cluster of that name is no secret");
  record.close();
  assert.equal(holdings.summary(), { proxies: 0, trusting: 0, behind: [], byRoot: {} });
});

test("nothing that is told holds a key or PEM", async () => {
  const { holdings, push } = opened();
  push(await issue())("held");
  assert.not.match(JSON.stringify(holdings.list()), /PRIVATE|BEGIN/);
});

test.run();
