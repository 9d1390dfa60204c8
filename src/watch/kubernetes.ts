import type { KubeConfig } from "@kubernetes/client-node";
import { configurationKindNames, definitionOf } from "../api/kinds.js";
import type { Kind, ObjectEvent, ObjectSource } from "../api/kubernetes.js";
import { createApiClient } from "./api-client.js";
import { createBatcher } from "./batch.js";
import { listWatch } from "./list-watch.js";
import { stripObject } from "./strip.js";

/** Collections by kind; those of the configuration API in the version that is stored, which costs no conversion. */
const paths: ReadonlyMap<Kind, string> = new Map<Kind, string>([
  ["Namespace", "/api/v1/namespaces"],
  ["Service", "/api/v1/services"],
  ["EndpointSlice", "/apis/discovery.k8s.io/v1/endpointslices"],
  ["Pod", "/api/v1/pods"],
  ["Node", "/api/v1/nodes"],
  ...configurationKindNames.map((kind): [Kind, string] => {
    const { group, versions, plural } = definitionOf(kind);
    return [kind, `/apis/${group}/${versions[0]}/${plural}`];
  }),
]);

export interface WatchKubernetesOptions {
  /** Told of failed lists and watches, which are tried again with growing pauses. */
  readonly failed?: (kind: Kind, error: Error) => void;
  readonly pageSize?: number;
}

/** Every object of the kinds that the mesh reads, from the cluster of the kubeconfig's current context. */
export const watchKubernetes = (kubeConfig: KubeConfig, options: WatchKubernetesOptions = {}): ObjectSource => {
  const client = createApiClient(kubeConfig);
  const batcher = createBatcher();
  const waiting = new Set(paths.keys());
  const synced = Promise.withResolvers<void>();
  const watches = [...paths].map(([kind, path]) =>
    listWatch({
      client,
      path,
      ...(options.pageSize === undefined ? {} : { pageSize: options.pageSize }),
      changed: (namespace, name, object) =>
        batcher.add({ kind, namespace, name, object: object && stripObject(kind, object) } as ObjectEvent),
      synced: () => {
        waiting.delete(kind);
        if (waiting.size > 0) return;
        batcher.flush();
        synced.resolve();
      },
      failed: (error) => options.failed?.(kind, error),
    }),
  );
  return {
    subscribe: batcher.subscribe,
    synced: synced.promise,
    stop: async () => {
      batcher.stop();
      await Promise.all(watches.map(({ stop }) => stop()));
    },
  };
};
