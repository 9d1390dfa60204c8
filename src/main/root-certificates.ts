import { type ApiClient, ApiError } from "../watch/api-client.js";
import { listWatch, type WatchedObject } from "../watch/list-watch.js";
import { createKeeper } from "./keeper.js";

export interface RootCertificatesOptions {
  readonly client: ApiClient;
  readonly namespaces: () => ReadonlyMap<string, { readonly metadata?: { readonly uid?: string } }>;
  readonly bundle: () => string;
  readonly failed: (error: Error) => void;
}

const name = "istio-ca-root-cert";
const key = "root-cert.pem";

interface ConfigMap extends WatchedObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface RootCertificates {
  /** To be called when namespaces have come or gone. */
  readonly check: () => void;
  /** To be called when the bundle has changed. */
  readonly renew: () => void;
  /** Whether each namespace has the bundle of now. */
  readonly isWritten: () => boolean;
  readonly stop: () => Promise<void>;
}

/** Keeps the trust bundle in each namespace's ConfigMap `istio-ca-root-cert`, whoever else writes there. */
export const keepRootCertificates = (options: RootCertificatesOptions): RootCertificates => {
  const { client } = options;
  const current = new Map<string, string>();
  let isListed = false;
  /** Namespaces that are going away or gone take nothing, by their uid: one that is made anew does, however soon. */
  const closed = new Map<string, string | undefined>();
  const uidOf = (namespace: string): string | undefined => options.namespaces().get(namespace)?.metadata?.uid;

  const write = async (namespace: string): Promise<void> => {
    const bundle = options.bundle();
    const uid = uidOf(namespace);
    const collection = `/api/v1/namespaces/${namespace}/configmaps`;
    const body = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace, labels: { "istio.io/config": "true" } },
      data: { [key]: bundle },
    };
    try {
      if (current.has(namespace)) await client.call(`${collection}/${name}`, { method: "PUT", body });
      else await client.call(collection, { method: "POST", body });
      current.set(namespace, bundle);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const isGoing = error.status === 403 && error.message.includes("being terminated");
      if (isGoing || (error.status === 404 && !current.has(namespace))) closed.set(namespace, uid);
      else if (error.status === 404) current.delete(namespace);
      // At a conflict another replica was quicker, and the watch will say with what.
      else if (error.status !== 409) throw error;
    }
  };

  const keeper = createKeeper({
    wrong: () => {
      if (!isListed) return [];
      const bundle = options.bundle();
      const namespaces = options.namespaces();
      for (const [namespace, uid] of closed)
        if (!namespaces.has(namespace) || uidOf(namespace) !== uid) closed.delete(namespace);
      return [...namespaces.keys()].filter((namespace) => current.get(namespace) !== bundle && !closed.has(namespace));
    },
    write,
    failed: (error) => options.failed(new Error(`cannot keep a ConfigMap ${name}: ${error.message}`)),
  });

  const watch = listWatch({
    client,
    path: "/api/v1/configmaps",
    fieldSelector: `metadata.name=${name}`,
    changed: (namespace, _name, object) => {
      if (object === undefined) current.delete(namespace);
      else current.set(namespace, (object as ConfigMap).data?.[key] ?? "");
      keeper.check();
    },
    synced: () => {
      isListed = true;
      keeper.check();
    },
    failed: options.failed,
  });

  return {
    check: keeper.check,
    renew: keeper.renew,
    isWritten: () => isListed && keeper.isRight(),
    stop: async () => {
      keeper.stop();
      await watch.stop();
    },
  };
};
