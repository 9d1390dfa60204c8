import type { V1EnvVar, V1Pod } from "@kubernetes/client-node";
import { canonicalName, canonicalRevision, workloadOf } from "./workload.js";

/** A namespace of statistics whose names the proxy gives to Prometheus as they are, without its own prefix. */
const statisticsNamespace = "wasmcustom";

/** Statistics with Istio's names; in the proxy they begin with this. */
export const istioStatistics = `${statisticsNamespace}.istio_`;

/**
 * Only Wasm registers a namespace of statistics in stock Envoy; without one, all names begin with `envoy_`. It does so
 * before it looks for the module, and this one is nowhere: no code is ever loaded, nor the memory of an engine taken. A
 * module that is there but cannot be run, say where memory must not be executable, would keep the proxy from starting.
 */
export const statisticsNamespaceExtension = (): object => ({
  name: "envoy.bootstrap.wasm",
  typed_config: {
    "@type": "type.googleapis.com/envoy.extensions.wasm.v3.WasmService",
    singleton: true,
    config: {
      name: "statistics-namespace",
      failure_policy: "FAIL_OPEN",
      vm_config: {
        runtime: "envoy.wasm.runtime.v8",
        code: {
          remote: {
            http_uri: { uri: "http://none.invalid/", cluster: "none", timeout: "1s" },
            sha256: "none",
            retry_policy: { num_retries: 0 },
          },
        },
      },
    },
  },
});

const scrapeAnnotation = /^prometheus\.io\/(scrape|port|path|scheme)$/;

/** For a Prometheus that finds what to scrape by annotations. Those of a pod that has some are for its application. */
export const scrapeAnnotations = (pod: V1Pod, port: number): Readonly<Record<string, string>> =>
  Object.keys(pod.metadata?.annotations ?? {}).some((name) => scrapeAnnotation.test(name))
    ? {}
    : {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": String(port),
        "prometheus.io/path": "/stats/prometheus",
      };

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
