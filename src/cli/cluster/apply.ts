import { type KubernetesObject, PatchStrategy } from "@kubernetes/client-node";
import { createApiClient } from "../../watch/api-client.js";
import type { Manifest } from "../manifests/context.js";
import { type ClusterClient, explain, isNotFound } from "./client.js";

export const fieldManager = "heddle";

/** Every kind an installation may hold, in the order in which it is taken away: what calls heddled goes before heddled. */
export const managedKinds = [
  ["admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"],
  ["admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"],
  ["apps/v1", "Deployment"],
  ["policy/v1", "PodDisruptionBudget"],
  ["networking.k8s.io/v1", "NetworkPolicy"],
  ["v1", "Service"],
  ["v1", "ConfigMap"],
  ["rbac.authorization.k8s.io/v1", "RoleBinding"],
  ["rbac.authorization.k8s.io/v1", "Role"],
  ["rbac.authorization.k8s.io/v1", "ClusterRoleBinding"],
  ["rbac.authorization.k8s.io/v1", "ClusterRole"],
  ["v1", "ServiceAccount"],
] as const;

export const nameOf = ({ kind, metadata }: KubernetesObject): string =>
  `${kind} ${metadata?.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata?.name}`;

export interface ApplyOptions {
  /** Takes over fields that others have set. */
  readonly force: boolean;
  /** Has the API server check and default everything and keep nothing. */
  readonly dryRun: boolean;
}

export type Outcome = "created" | "changed" | "unchanged";

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/** The client's classes would leave out the schema's extensions, and so every rule of the configuration API. */
const applyDefinition = async (
  client: ClusterClient,
  manifest: Manifest,
  { dryRun, force }: ApplyOptions,
): Promise<KubernetesObject> => {
  const query = new URLSearchParams({ fieldManager, force: String(force), ...(dryRun ? { dryRun: "All" } : {}) });
  return (await createApiClient(client.kubeConfig).call(`${definitions}/${manifest.metadata.name}?${query}`, {
    method: "PATCH",
    contentType: "application/apply-patch+yaml",
    body: manifest,
  })) as KubernetesObject;
};

/** Server-side apply of one object. Rejects with an Error that names the object and the cure. */
export const apply = async (client: ClusterClient, manifest: Manifest, options: ApplyOptions): Promise<Outcome> => {
  const header = { ...manifest, metadata: { ...manifest.metadata } } as KubernetesObject & {
    metadata: { name: string };
  };
  try {
    const before = await find(client, header);
    const after =
      manifest.kind === "CustomResourceDefinition"
        ? await applyDefinition(client, manifest, options)
        : await client.objects.patch(
            header,
            undefined,
            options.dryRun ? "All" : undefined,
            fieldManager,
            options.force,
            PatchStrategy.ServerSideApply,
          );
    if (before === undefined) return "created";
    return before.metadata?.resourceVersion === after.metadata?.resourceVersion ? "unchanged" : "changed";
  } catch (error) {
    throw explain(client, nameOf(header), error);
  }
};

export const find = async <T extends KubernetesObject>(
  client: ClusterClient,
  wanted: {
    readonly apiVersion?: string;
    readonly kind?: string;
    readonly metadata?: { readonly name?: string; readonly namespace?: string };
  },
): Promise<T | undefined> => {
  const { apiVersion, kind, metadata } = wanted;
  const target = {
    apiVersion,
    kind,
    metadata: {
      name: metadata?.name ?? "",
      ...(metadata?.namespace === undefined ? {} : { namespace: metadata.namespace }),
    },
  };
  try {
    return await client.objects.read<T>(target as Parameters<typeof client.objects.read<T>>[0]);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw explain(client, nameOf(target as KubernetesObject), error);
  }
};

/** Objects of one kind in the whole cluster that the selectors match, with their apiVersion and kind filled in. */
export const list = async <T extends KubernetesObject>(
  client: ClusterClient,
  apiVersion: string,
  kind: string,
  selectors: { readonly labels?: string; readonly fields?: string; readonly namespace?: string },
): Promise<readonly T[]> => {
  try {
    const { items } = await client.objects.list<T>(
      apiVersion,
      kind,
      selectors.namespace,
      undefined,
      undefined,
      undefined,
      selectors.fields,
      selectors.labels,
    );
    return items.map((item) => ({ ...item, apiVersion, kind }));
  } catch (error) {
    if (isNotFound(error)) return [];
    throw explain(client, `list of every ${kind}`, error);
  }
};

/** The objects of a revision, or of all; in the order in which they are to be taken away. */
export const managedObjects = async (
  client: ClusterClient,
  revision?: string,
): Promise<readonly KubernetesObject[]> => {
  const labels = `app.kubernetes.io/managed-by=heddle,istio.io/rev${revision === undefined ? "" : `=${revision}`}`;
  const found: KubernetesObject[] = [];
  for (const [apiVersion, kind] of managedKinds) found.push(...(await list(client, apiVersion, kind, { labels })));
  return found;
};

/** Objects that the manifests no longer hold. */
export const stale = (
  found: readonly KubernetesObject[],
  manifests: readonly Manifest[],
): readonly KubernetesObject[] => {
  const wanted = new Set(manifests.map((manifest) => nameOf(manifest)));
  return found.filter((object) => !wanted.has(nameOf(object)));
};

/** Deletes the object, dependents first; that it is gone already is no error. */
export const remove = async (client: ClusterClient, object: KubernetesObject): Promise<void> => {
  try {
    await client.objects.delete(object, undefined, undefined, undefined, undefined, "Foreground");
  } catch (error) {
    if (!isNotFound(error)) throw explain(client, nameOf(object), error);
  }
};
