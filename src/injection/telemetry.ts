import type { V1EnvVar, V1Pod } from "@kubernetes/client-node";
import { canonicalName, canonicalRevision, workloadOf } from "./workload.js";

/** A namespace of statistics whose names the proxy gives to Prometheus as they are, without its own prefix. */
const statisticsNamespace = "wasmcustom";

/** Statistics with Istio's names; in the proxy they begin with this. */
export const istioStatistics = `${statisticsNamespace}.istio_`;

/**
 * The smallest WebAssembly module that Envoy takes. It exports what the interface asks for and does nothing.
 *
 *     (module
 *       (memory (export "memory") 1)
 *       (func (export "proxy_abi_version_0_2_1"))
 *       (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0))
 */
const emptyModule =
  "AGFzbQEAAAABCQJgAABgAX8BfwMDAgABBQMBAAEHPwMGbWVtb3J5AgAXcHJveHlfYWJpX3ZlcnNpb25fMF8yXzEAABhwcm94eV9vbl9tZW1vcnlfYWxsb2NhdGUAAQoJAgIACwQAQQAL";

/** Only Wasm registers a namespace of statistics in stock Envoy; without one, all names begin with `envoy_`. */
export const statisticsNamespaceExtension = (): object => ({
  name: "envoy.bootstrap.wasm",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.wasm.v3.WasmService",
    singleton: true,
    config: {
      name: "statistics-namespace",
      failure_policy: "FAIL_OPEN",
      vm_config: { runtime: "envoy.wasm.runtime.v8", code: { local: { inline_bytes: emptyModule } } },
    },
  },
});

const unknown = "unknown";

/** What metrics call the proxy's own workload. It is read from the environment, so that proxies can share configuration. */
export const telemetryEnvironment = (pod: V1Pod, clusterId: string): readonly V1EnvVar[] =>
  Object.entries({
    HEDDLE_WORKLOAD: workloadOf(pod).name,
    HEDDLE_APP: pod.metadata?.labels?.["app"] || unknown,
    HEDDLE_VERSION: pod.metadata?.labels?.["version"] || unknown,
    HEDDLE_CLUSTER: clusterId,
    HEDDLE_CANONICAL_SERVICE: canonicalName(pod),
    HEDDLE_CANONICAL_REVISION: canonicalRevision(pod),
    HEDDLE_UNKNOWN: unknown,
  }).map(([name, value]) => ({ name, value: value.replaceAll("$", "$$$$") }));
