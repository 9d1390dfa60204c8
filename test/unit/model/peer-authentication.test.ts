import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import type { PeerAuthenticationSpec } from "../../../src/api/security/peer-authentication.js";
import { applyEvents } from "../../../src/model/apply.js";
import {
  decidingPolicyOf,
  type MtlsMode,
  mtlsModeOf,
  peerAuthenticationAt,
  reaches,
} from "../../../src/model/peer-authentication.js";
import { emptySnapshot, type Snapshot } from "../../../src/model/snapshot.js";

type Mode = MtlsMode | "UNSET" | undefined;

const policy = (namespace: string, name: string, spec: PeerAuthenticationSpec | undefined, day = 1): ObjectEvent => ({
  kind: "PeerAuthentication",
  namespace,
  name,
  object: spec && { metadata: { namespace, name, creationTimestamp: `2026-01-0${day}T00:00:00Z` as never }, spec },
});

const specOf = (mode: Mode): PeerAuthenticationSpec => (mode === undefined ? {} : { mtls: { mode } });
const mesh = (mode: Mode, name = "default", day = 1) => policy("istio-system", name, specOf(mode), day);
const own = (mode: Mode, name = "default", day = 1) => policy("shop", name, specOf(mode), day);
const workload = (mode: Mode, ports: Record<string, Mode> = {}, name = "web", day = 1, matchLabels = { app: "web" }) =>
  policy(
    "shop",
    name,
    {
      ...specOf(mode),
      selector: { matchLabels },
      portLevelMtls: Object.fromEntries(Object.entries(ports).map(([port, of]) => [port, of ? { mode: of } : {}])),
    },
    day,
  );

const snapshotOf = (...events: readonly ObjectEvent[]): Snapshot => applyEvents(emptySnapshot(), events).snapshot;
const web = (snapshot: Snapshot, port = 8080): MtlsMode =>
  mtlsModeOf(snapshot, "shop", { app: "web", version: "v1" }, port);

const cases: readonly (readonly [name: string, events: readonly ObjectEvent[], mode: MtlsMode])[] = [
  ["nothing is permissive", [], "PERMISSIVE"],
  ["the mesh's", [mesh("STRICT")], "STRICT"],
  ["the namespace's before the mesh's", [mesh("STRICT"), own("DISABLE")], "DISABLE"],
  ["the workload's before the namespace's", [mesh("STRICT"), own("DISABLE"), workload("PERMISSIVE")], "PERMISSIVE"],
  ["the port's before the workload's", [workload("STRICT", { 8080: "DISABLE" })], "DISABLE"],
  ["another port's not", [workload("STRICT", { 8081: "DISABLE" })], "STRICT"],
  ["UNSET of the namespace inherits the mesh's", [mesh("STRICT"), own("UNSET")], "STRICT"],
  ["a namespace's that sets nothing inherits", [mesh("STRICT"), own(undefined)], "STRICT"],
  ["UNSET of the mesh is permissive", [mesh("UNSET")], "PERMISSIVE"],
  ["UNSET of the workload inherits the namespace's", [own("STRICT"), workload("UNSET")], "STRICT"],
  ["a workload's ports alone: others inherit", [own("STRICT"), workload(undefined, { 1: "DISABLE" })], "STRICT"],
  ["UNSET of a port inherits the workload's", [own("STRICT"), workload("DISABLE", { 8080: "UNSET" })], "DISABLE"],
  ["a port without mode inherits the workload's", [workload("STRICT", { 8080: undefined })], "STRICT"],
  ["of several of the mesh the oldest", [mesh("DISABLE", "a", 2), mesh("STRICT", "b", 1)], "STRICT"],
  ["of several of the namespace the oldest", [own("STRICT", "z", 1), own("DISABLE", "a", 2)], "STRICT"],
  ["of equal age by name", [own("DISABLE", "b"), own("STRICT", "a")], "STRICT"],
  [
    "of several of the workload the oldest, whole",
    [workload("STRICT", {}, "old", 1), workload("DISABLE", { 8080: "DISABLE" }, "new", 2, { version: "v1" } as never)],
    "STRICT",
  ],
  ["the oldest decides also by UNSET", [mesh("STRICT"), own("UNSET", "a", 1), own("DISABLE", "b", 2)], "STRICT"],
  ["labels that the pod has not", [workload("STRICT", {}, "web", 1, { app: "other" })], "PERMISSIVE"],
  [
    "a selector in the root namespace selects nothing",
    [policy("istio-system", "web", { selector: { matchLabels: { app: "web" } }, mtls: { mode: "STRICT" } })],
    "PERMISSIVE",
  ],
  [
    "an empty selector is for all",
    [policy("shop", "a", { selector: { matchLabels: {} }, mtls: { mode: "STRICT" } })],
    "STRICT",
  ],
  ["another namespace's", [policy("other", "a", specOf("STRICT"))], "PERMISSIVE"],
  ["one that is gone", [own("STRICT"), own("STRICT", "b"), policy("shop", "b", undefined)], "STRICT"],
  ["the last that is gone", [own("STRICT"), policy("shop", "default", undefined)], "PERMISSIVE"],
];

for (const [name, events, mode] of cases)
  test(`mode of a port: ${name}`, () => {
    assert.is(web(snapshotOf(...events)), mode);
  });

test("a workload of the root namespace has the mesh's mode, whatever selects it there", () => {
  const selecting = policy("istio-system", "a", {
    selector: { matchLabels: { app: "web" } },
    mtls: { mode: "DISABLE" },
  });
  assert.is(mtlsModeOf(snapshotOf(mesh("STRICT"), selecting), "istio-system", { app: "web" }, 1), "STRICT");
});

test("whom a policy is for: its namespace's workloads, or those of the mesh", () => {
  const snapshot = snapshotOf(
    ...[mesh("STRICT"), own("STRICT"), workload("STRICT")],
    policy("istio-system", "selecting", { selector: { matchLabels: { app: "web" } } }),
  );
  const pods = [
    ["shop", "web"],
    ["shop", "db"],
    ["other", "web"],
    ["istio-system", "web"],
  ] as const;
  const reached = (key: string) => {
    const found = peerAuthenticationAt(snapshot, key)!;
    return pods.map(([namespace, app]) => reaches(snapshot, found, namespace, { app }));
  };
  assert.equal(reached("istio-system/default"), [true, true, true, true]);
  assert.equal(reached("istio-system/selecting"), [false, false, false, false]);
  assert.equal(reached("shop/default"), [true, true, false, false]);
  assert.equal(reached("shop/web"), [true, false, false, false]);
  assert.is(peerAuthenticationAt(snapshot, "shop/none"), undefined);
});

const pod = (namespace: string, name: string, app: string): ObjectEvent => ({
  kind: "Pod",
  namespace,
  name,
  object: { metadata: { namespace, name, labels: { app } }, spec: { containers: [] } },
});
const service = (namespace: string, name: string): readonly ObjectEvent[] => [
  {
    kind: "Service",
    namespace,
    name,
    object: { metadata: { namespace, name }, spec: { selector: { app: name }, ports: [{ port: 80 }] } },
  },
  {
    kind: "EndpointSlice",
    namespace,
    name,
    object: {
      metadata: { namespace, name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      endpoints: [{ addresses: ["10.0.0.1"], targetRef: { kind: "Pod", name: `${name}-0` } }],
    },
  },
];

test("a change touches what it concerns: the namespaces it reaches, and endpoints only where mutual TLS comes or goes", () => {
  const before = snapshotOf(
    ...["web", "db"].flatMap((name) => [pod("shop", `${name}-0`, name), ...service("shop", name)]),
    ...[pod("other", "x-0", "x"), ...service("other", "x")],
  );
  const touched = (events: readonly ObjectEvent[], from = before) => {
    const { diff } = applyEvents(from, events);
    return [[...diff.inbound].sort(), [...diff.hosts].sort(), [...diff.pods], diff.clients];
  };
  const host = (name: string, namespace = "shop") => `${name}.${namespace}.svc.cluster.local`;
  assert.equal(touched([own("STRICT")]), [["shop"], [], [], false]);
  assert.equal(touched([own("DISABLE")]), [["shop"], [host("db"), host("web")], [], false]);
  assert.equal(touched([workload("DISABLE")]), [["shop"], [host("web")], [], false]);
  assert.equal(touched([workload("STRICT", { 80: "DISABLE" })]), [["shop"], [host("web")], [], false]);
  assert.equal(touched([mesh("DISABLE")])[1], [host("db"), host("web"), host("x", "other")].sort());
  const disabled = applyEvents(before, [own("DISABLE")]).snapshot;
  assert.equal(touched([mesh("DISABLE")], disabled)[1], [host("x", "other")]);
});

const arbitraryMode = fc.constantFrom<Mode>("UNSET", "DISABLE", "PERMISSIVE", "STRICT", undefined);
const arbitraryPolicy = fc.oneof(
  fc.tuple(arbitraryMode, fc.constantFrom("a", "b"), fc.integer({ min: 1, max: 2 })).map((all) => mesh(...all)),
  fc.tuple(arbitraryMode, fc.constantFrom("a", "b"), fc.integer({ min: 1, max: 2 })).map((all) => own(...all)),
  fc
    .tuple(
      arbitraryMode,
      fc.dictionary(fc.constantFrom("8080", "80"), arbitraryMode),
      fc.constantFrom("c", "d"),
      fc.integer({ min: 1, max: 2 }),
      fc.constantFrom({ app: "web" }, { version: "v1" } as never),
    )
    .map((all) => workload(...all)),
);

test("modes do not depend on the order, or the batches, in which policies come", () => {
  fc.assert(
    fc.property(
      fc
        .uniqueArray(arbitraryPolicy, { selector: ({ namespace, name }) => `${namespace}/${name}`, maxLength: 6 })
        .chain((events) => fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length }))),
      ([events, shuffled]) => {
        const together = snapshotOf(...events);
        const oneByOne = shuffled.reduce((snapshot, event) => applyEvents(snapshot, [event]).snapshot, emptySnapshot());
        for (const port of [80, 8080, 9]) assert.is(web(oneByOne, port), web(together, port));
      },
    ),
  );
});

test("the policy that is said to decide is one that sets the mode", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(arbitraryPolicy, { selector: ({ namespace, name }) => `${namespace}/${name}` }),
      (events) => {
        const snapshot = snapshotOf(...events);
        for (const port of [80, 8080, 9]) {
          const deciding = decidingPolicyOf(snapshot, "shop", { app: "web", version: "v1" }, port);
          const { mtls, portLevelMtls } = deciding?.spec ?? {};
          const ofPort = portLevelMtls?.[port]?.mode;
          const said = ofPort === undefined || ofPort === "UNSET" ? mtls?.mode : ofPort;
          assert.is(said ?? "PERMISSIVE", web(snapshot, port));
        }
      },
    ),
  );
});

test.run();
