import type { ObjectEvent } from "../src/api/kubernetes.js";
import { createCompiler } from "../src/compile/compiler.js";
import { numberOption, type Row, report, textOption } from "./support/report.js";
import { median } from "./support/statistics.js";

/**
 * AuthorizationPolicies alone, in this process: as many as pods with proxies, all of one namespace or spread over several.
 * Usage: node --import tsx bench/authorization.ts [--pods 1000] [--policies 1000] [--namespaces 1,20] [--changes 100] [--json]
 */
const pods = numberOption("pods", 1000);
const policies = numberOption("policies", 1000);
const changes = numberOption("changes", 100);
const namespaceCounts = (textOption("namespaces") ?? "1,20").split(",").map(Number);
const applications = 200;

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

const timed = (action: () => void): number => {
  const began = performance.now();
  action();
  return performance.now() - began;
};

const objectEvent = (kind: string, namespace: string, name: string, rest: object): ObjectEvent =>
  ({ kind, namespace, name, object: { metadata: { name, namespace, uid: name }, ...rest } }) as unknown as ObjectEvent;

const podEvent = (index: number, namespace: string): ObjectEvent => {
  const ip = `10.${index >> 8}.${index & 255}.1`;
  const event = objectEvent("Pod", namespace, `pod-${index}`, {
    spec: { containers: [{ name: "app" }] },
    status: { podIP: ip, podIPs: [{ ip }] },
  });
  const labels = { app: `app-${index % applications}`, "pod-template-hash": String(index) };
  return {
    ...event,
    object: { ...event.object, metadata: { name: event.name, namespace, uid: event.name, labels } },
  } as ObjectEvent;
};

const serviceEvent = (index: number, namespace: string): ObjectEvent =>
  objectEvent("Service", namespace, `app-${index}`, {
    spec: {
      clusterIP: `10.200.${index >> 8}.${index & 255}`,
      selector: { app: `app-${index}` },
      ports: [
        { name: "http", port: 80 },
        { name: "tcp", port: 81 },
      ],
    },
  });

const policyEvent = (index: number, round: number, namespace: string): ObjectEvent =>
  objectEvent("AuthorizationPolicy", namespace, `policy-${index}`, {
    spec: {
      selector: { matchLabels: { app: `app-${index % applications}` } },
      rules: [
        {
          from: [{ source: { principals: [`cluster.local/ns/clients/sa/account-${index}`] } }],
          to: [{ operation: { methods: ["GET"], paths: [`/${index}/${round}`] } }],
        },
      ],
    },
  });

const rootEvent = (round: number): ObjectEvent =>
  objectEvent("AuthorizationPolicy", "istio-system", "mesh", {
    spec: { action: "DENY", rules: [{ to: [{ operation: { paths: [`/${round}`], ports: ["80"] } }] }] },
  });

const measure = (namespaces: number): Row => {
  const namespaceOf = (index: number): string => `ns-${index % namespaces}`;
  const compiler = createCompiler();
  compiler.apply([
    ...range(pods).map((index) => podEvent(index, namespaceOf(index))),
    ...range(applications).map((index) => serviceEvent(index, namespaceOf(index))),
    ...range(policies).map((index) => policyEvent(index, 0, namespaceOf(index))),
  ]);
  let told = 0;
  const attach = timed(() => {
    for (const index of range(pods))
      compiler.attach(namespaceOf(index), `pod-${index}`, `pod-${index}`)?.onChange(() => {
        told += 1;
      });
  });
  const own = range(changes).map((round) => {
    const index = (round * 7) % policies;
    return timed(() => compiler.apply([policyEvent(index, round + 1, namespaceOf(index))]));
  });
  const toldOfOwn = told / changes;
  const root = range(10).map((round) => timed(() => compiler.apply([rootEvent(round)])));
  return {
    namespaces,
    "attach all ms": attach,
    "policy change ms": median(own),
    "proxies told": toldOfOwn,
    "mesh policy change ms": median(root),
  };
};

report("authorization", namespaceCounts.map(measure));
