import type { V1Pod } from "@kubernetes/client-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { SpireAgent } from "../../../src/injection/spire.js";
import { inject, requestOf, samplePod } from "./support.js";

const injected = (spire: SpireAgent | undefined, annotations: Record<string, string> = {}): V1Pod => {
  const pod = samplePod({ annotations });
  const result = inject(pod, { cluster: { ...requestOf(pod).cluster, spire } });
  if (result.kind !== "patched") throw new Error(JSON.stringify(result));
  return result.pod;
};
const proxyOf = (pod: V1Pod) => pod.spec!.containers.find(({ name }) => name === "istio-proxy")!;
const volumeOf = (pod: V1Pod) => pod.spec!.volumes?.find(({ name }) => name === "workload-socket");
const clustersOf = (pod: V1Pod): readonly { readonly name: string }[] =>
  JSON.parse(proxyOf(pod).args![1]!.replaceAll("$$", "$")).static_resources.clusters;

test("the agent's socket comes to the proxy alone, by the CSI driver, and Envoy has a cluster for it", () => {
  const pod = injected({ nodeFolder: "" });
  assert.equal(volumeOf(pod), { name: "workload-socket", csi: { driver: "csi.spiffe.io", readOnly: true } });
  const mounts = pod.spec!.containers.map(({ name, volumeMounts = [] }) => [
    name,
    volumeMounts.filter((mount) => mount.name === "workload-socket"),
  ]);
  assert.equal(Object.fromEntries(mounts), {
    app: [],
    "istio-proxy": [{ name: "workload-socket", mountPath: "/run/secrets/workload-spiffe-uds", readOnly: true }],
  });
  const cluster = clustersOf(pod).find(({ name }) => name === "spire-agent");
  assert.match(JSON.stringify(cluster), '"pipe":{"path":"/run/secrets/workload-spiffe-uds/socket"}');
  assert.match(JSON.stringify(cluster), "http2_protocol_options");
});

test("the socket can be in a folder of the node", () => {
  assert.equal(volumeOf(injected({ nodeFolder: "/run/spire/sockets" })), {
    name: "workload-socket",
    hostPath: { path: "/run/spire/sockets", type: "Directory" },
  });
});

test("the user's own volumes stay beside it", () => {
  const annotations = { "sidecar.istio.io/userVolume": '[{"name":"mine","emptyDir":{}}]' };
  const names = injected({ nodeFolder: "" }, annotations).spec!.volumes?.map(({ name }) => name);
  assert.equal(names, ["istio-token", "istiod-ca-cert", "workload-socket", "mine"]);
});

test("without SPIRE there is neither volume nor cluster", () => {
  const pod = injected(undefined);
  assert.is(volumeOf(pod), undefined);
  assert.is(
    clustersOf(pod).some(({ name }) => name === "spire-agent"),
    false,
  );
});

test.run();
