import { test } from "uvu";
import * as assert from "uvu/assert";
import { inject, type PodOptions, refusal, samplePod } from "./support.js";

interface Row {
  readonly what: string;
  readonly namespace?: Record<string, string>;
  readonly name?: string;
  readonly pod?: PodOptions;
  readonly revision?: string;
  readonly tags?: readonly string[];
  readonly kind: "patched" | "skipped";
  readonly asked?: boolean;
}

const enabled = { "istio-injection": "enabled" };
const rows: readonly Row[] = [
  { what: "a labelled namespace", namespace: enabled, kind: "patched" },
  { what: "no label at all", kind: "skipped", asked: false },
  { what: "disabled", namespace: { "istio-injection": "disabled" }, kind: "skipped", asked: false },
  {
    what: "disabled beats the pod's label",
    namespace: { "istio-injection": "disabled" },
    pod: { labels: { "sidecar.istio.io/inject": "true" } },
    kind: "skipped",
  },
  { what: "a value nobody knows", namespace: { "istio-injection": "true" }, kind: "skipped" },
  { what: "istio-injection beats istio.io/rev", namespace: { ...enabled, "istio.io/rev": "canary" }, kind: "patched" },
  {
    what: "disabled beats istio.io/rev",
    namespace: { "istio-injection": "disabled", "istio.io/rev": "default" },
    kind: "skipped",
  },
  { what: "our revision", namespace: { "istio.io/rev": "canary" }, revision: "canary", kind: "patched" },
  { what: "another revision", namespace: { "istio.io/rev": "canary" }, kind: "skipped" },
  { what: "a tag of ours", namespace: { "istio.io/rev": "prod" }, revision: "v2", tags: ["prod"], kind: "patched" },
  { what: "enabled is not for a canary", namespace: enabled, revision: "canary", kind: "skipped" },
  {
    what: "enabled is for the revision tagged default",
    namespace: enabled,
    revision: "v2",
    tags: ["default"],
    kind: "patched",
  },
  {
    what: "the pod's label says no",
    namespace: enabled,
    pod: { labels: { "sidecar.istio.io/inject": "false" } },
    kind: "skipped",
  },
  {
    what: "the pod's annotation says no",
    namespace: enabled,
    pod: { annotations: { "sidecar.istio.io/inject": "false" } },
    kind: "skipped",
  },
  {
    what: "the label beats the annotation",
    namespace: enabled,
    pod: { labels: { "sidecar.istio.io/inject": "true" }, annotations: { "sidecar.istio.io/inject": "false" } },
    kind: "patched",
  },
  { what: "the pod's label says yes", pod: { labels: { "sidecar.istio.io/inject": "true" } }, kind: "patched" },
  {
    what: "the annotation alone cannot",
    pod: { annotations: { "sidecar.istio.io/inject": "true" } },
    kind: "skipped",
    asked: true,
  },
  { what: "the pod's revision", pod: { labels: { "istio.io/rev": "canary" } }, revision: "canary", kind: "patched" },
  {
    what: "the namespace's revision beats the pod's",
    namespace: { "istio.io/rev": "v1" },
    pod: { labels: { "istio.io/rev": "canary" } },
    revision: "canary",
    kind: "skipped",
  },
  { what: "hostNetwork", namespace: enabled, pod: { spec: { hostNetwork: true } }, kind: "skipped", asked: true },
  {
    what: "Windows by os",
    namespace: enabled,
    pod: { spec: { os: { name: "windows" } } },
    kind: "skipped",
    asked: true,
  },
  {
    what: "Windows by node selector",
    namespace: enabled,
    pod: { spec: { nodeSelector: { "kubernetes.io/os": "windows" } } },
    kind: "skipped",
    asked: true,
  },
  ...["kube-system", "kube-public", "kube-node-lease", "local-path-storage"].map(
    (name) => ({ what: name, name, namespace: enabled, kind: "skipped" }) as const,
  ),
];

for (const row of rows)
  test(`${row.what}: ${row.kind}`, () => {
    const result = inject(samplePod(row.pod), {
      namespace: { name: row.name ?? "shop", labels: row.namespace ?? {} },
      revision: row.revision ?? "default",
      tags: row.tags ?? [],
    });
    assert.is(result.kind, row.kind, JSON.stringify(result));
    if (result.kind === "skipped" && row.asked !== undefined) assert.is(result.asked, row.asked);
  });

test("a wrong value of the inject label is refused with its cure", () => {
  assert.match(
    refusal(samplePod({ labels: { "sidecar.istio.io/inject": "maybe" } })),
    /label sidecar\.istio\.io\/inject: "maybe".*write "true" or "false"/,
  );
});

for (const level of ["baseline", "restricted"])
  test(`a namespace that enforces ${level} is refused, for want of NET_ADMIN`, () => {
    const labels = { ...enabled, "pod-security.kubernetes.io/enforce": level };
    assert.match(refusal(samplePod(), { namespace: { name: "shop", labels } }), /NET_ADMIN.*privileged.*CNI/);
  });

test("an ownerless pod with generateName is named by it in messages", () => {
  const pod = samplePod({ metadata: { generateName: "web-" }, annotations: { "sidecar.istio.io/logLevel": "loud" } });
  delete pod.metadata!.name;
  assert.match(refusal(pod), /^pod web-\* of namespace shop/);
});

test.run();
