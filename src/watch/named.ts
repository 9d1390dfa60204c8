import type { ApiClient } from "./api-client.js";
import { listWatch, type WatchedObject } from "./list-watch.js";

export interface WatchNamedOptions<Watched extends WatchedObject> {
  readonly client: ApiClient;
  /** Collection path such as /api/v1/namespaces/istio-system/secrets. */
  readonly path: string;
  readonly name: string;
  /** The object as it is, first once and then after each change; nothing when there is none. */
  readonly changed: (object: Watched | undefined) => void;
  readonly failed: (error: Error) => void;
}

/**
 * Follows one object until stopped. The field selector lets the API server allow it to who may watch that name only
 * (`resourceNames` of a Role).
 */
export const watchNamed = <Watched extends WatchedObject>(
  options: WatchNamedOptions<Watched>,
): { readonly synced: Promise<void>; readonly stop: () => Promise<void> } => {
  const synced = Promise.withResolvers<void>();
  let isThere = false;
  const { stop } = listWatch({
    client: options.client,
    path: options.path,
    fieldSelector: `metadata.name=${options.name}`,
    changed: (_namespace, _name, object) => {
      isThere = object !== undefined;
      options.changed(object as Watched | undefined);
    },
    synced: () => {
      if (!isThere) options.changed(undefined);
      synced.resolve();
    },
    failed: options.failed,
  });
  return { synced: synced.promise, stop };
};
