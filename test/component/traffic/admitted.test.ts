import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TrafficPolicy } from "../../../src/api/networking/destination-rule.js";
import { customResourceDefinitions } from "../../../src/cli/manifests/definitions.js";
import { type ApiServer, openApiServer } from "../../cluster/apiserver.ts";
import { run, waitFor } from "../../cluster/processes.ts";
import { arbitraryDestinationRuleSpec } from "../../support/arbitrary/destination-rule.js";

/** What a real API server makes of DestinationRules by their definition alone, without the webhook. */
let server: ApiServer;

const kubectl = (commandArguments: readonly string[], input?: unknown): Promise<string> =>
  run("kubectl", ["--kubeconfig", server.kubeconfig, ...commandArguments], {
    deadlineSeconds: 60,
    ...(input === undefined ? {} : { input: JSON.stringify(input) }),
  });

const definition = customResourceDefinitions().find(({ metadata }) => metadata.name.startsWith("destinationrules."))!;
const ruleOf = (name: string, spec: unknown) => ({
  apiVersion: "networking.istio.io/v1",
  kind: "DestinationRule",
  metadata: { name, namespace: "default" },
  spec,
});
const apply = (...items: readonly object[]): Promise<string> =>
  kubectl(["apply", "--server-side", "--validate=ignore", "-f", "-"], { apiVersion: "v1", kind: "List", items });

test.before(async () => {
  server = await openApiServer();
  await apply(definition);
  await waitFor("DestinationRules are served", async () => {
    await kubectl(["get", "destinationrules.networking.istio.io"]);
    return true;
  });
});
test.after(() => server?.close());

test("valid rules are let in", async () => {
  const specs = fc.sample(arbitraryDestinationRuleSpec(), { numRuns: 40, seed: 7 });
  const answer = await apply(...specs.map((spec, index) => ruleOf(`valid-${index}`, spec)));
  assert.is(answer.trim().split("\n").length, 40);
});

const refused: readonly (readonly [TrafficPolicy, RegExp])[] = [
  [
    { loadBalancer: { simple: "RANDOM", consistentHash: { useSourceIp: true } } },
    /at most one of simple, consistentHash/,
  ],
  [{ loadBalancer: { consistentHash: { httpHeaderName: "x", useSourceIp: true } } }, /at most one of httpHeaderName/],
  [{ loadBalancer: { consistentHash: { ringHash: {}, maglev: {} } } }, /at most one of ringHash, maglev/],
  [{ loadBalancer: { localityLbSetting: {}, zoneAwareLbSetting: {} } }, /at most one of localityLbSetting/],
  [{ loadBalancer: { warmup: { duration: "0s" } } }, /at least 1ms/],
  [{ connectionPool: { tcp: { maxConnections: -1 } } }, /greater than or equal to 0/],
  [{ outlierDetection: { interval: "soon" } }, /interval/],
  [{ outlierDetection: { maxEjectionPercent: 101 } }, /less than or equal to 100/],
  [{ tunnel: { targetHost: "h", targetPort: 1 }, proxyProtocol: {} }, /tunnel and proxyProtocol/],
  [{ retryBudget: { percent: 101 } }, /less than or equal to 100/],
];

test("wrong rules are refused with the reason, on every level", async () => {
  for (const [policy, reason] of refused)
    for (const spec of [
      { host: "a", trafficPolicy: policy },
      { host: "a", subsets: [{ name: "v1", trafficPolicy: policy }] },
    ]) {
      const problem = await apply(ruleOf("wrong", spec)).then(
        () => "let in",
        (error: Error & { readonly stderr?: string }) => error.stderr ?? error.message,
      );
      assert.match(problem, reason, JSON.stringify(spec));
    }
  const alone = await apply(ruleOf("wrong", { host: "a", exportTo: ["*", "x"] })).catch((error: Error) =>
    String(error),
  );
  assert.match(alone, /stands alone/);
});

test.run();
