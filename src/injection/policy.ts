import type { V1Pod } from "@kubernetes/client-node";
import { annotations, readAnnotation } from "./annotations.js";
import { refuse } from "./refusal.js";
import type { InjectionNamespace } from "./types.js";

export type Decision =
  | { readonly inject: true }
  | { readonly inject: false; readonly reason: string; readonly asked: boolean };

const systemNamespaces: ReadonlySet<string> = new Set([
  "kube-system",
  "kube-public",
  "kube-node-lease",
  "local-path-storage",
]);

const no = (reason: string, asked = false): Decision => ({ inject: false, reason, asked });

const flag = (pod: V1Pod): boolean | undefined => {
  const label = pod.metadata?.labels?.["sidecar.istio.io/inject"];
  if (label) return readAnnotation(annotations.inject, label, "label");
  const annotation = pod.metadata?.annotations?.["sidecar.istio.io/inject"];
  return annotation ? readAnnotation(annotations.inject, annotation) : undefined;
};

/** Whether labels alone ask this revision for a sidecar; what the pod is comes later. */
const asked = (pod: V1Pod, namespace: InjectionNamespace, revisions: ReadonlySet<string>): Decision => {
  const labels = namespace.labels ?? {};
  const injection = labels["istio-injection"];
  const foreign = (revision: string, of: string): Decision =>
    no(`${of} asks for revision "${revision}", which is not this one`);

  if (injection === "disabled") return no(`namespace ${namespace.name} has the label istio-injection=disabled`);
  const wanted = flag(pod);
  if (wanted === false) return no("the pod's label or annotation sidecar.istio.io/inject says no");
  if (injection === "enabled")
    return revisions.has("default") ? { inject: true } : foreign("default", `namespace ${namespace.name}`);
  if (injection)
    return no(
      `namespace ${namespace.name} has the label istio-injection=${injection}; only "enabled" asks for sidecars`,
    );

  const namespaceRevision = labels["istio.io/rev"];
  if (namespaceRevision)
    return revisions.has(namespaceRevision)
      ? { inject: true }
      : foreign(namespaceRevision, `namespace ${namespace.name}`);

  const podRevision = pod.metadata?.labels?.["istio.io/rev"];
  if (podRevision) return revisions.has(podRevision) ? { inject: true } : foreign(podRevision, "the pod");
  if (wanted === true && pod.metadata?.labels?.["sidecar.istio.io/inject"])
    return revisions.has("default") ? { inject: true } : foreign("default", "the pod");
  if (wanted === true)
    return no(
      `the annotation sidecar.istio.io/inject asks for nothing in namespace ${namespace.name}, which has no label istio-injection or istio.io/rev; use the label of the same name`,
      true,
    );
  return no(`neither namespace ${namespace.name} nor the pod has a label that asks for a sidecar`);
};

const isWindows = (pod: V1Pod): boolean =>
  pod.spec?.os?.name === "windows" ||
  pod.spec?.nodeSelector?.["kubernetes.io/os"] === "windows" ||
  pod.spec?.nodeSelector?.["beta.kubernetes.io/os"] === "windows";

const ambient = (pod: V1Pod): boolean => pod.metadata?.labels?.["istio.io/dataplane-mode"] === "ambient";

/**
 * Whether the pod gets a sidecar from this revision. `revisions` holds the revision's name and its tags. Throws
 * InjectionRefusal if the label or annotation sidecar.istio.io/inject is wrong.
 */
export const decide = (pod: V1Pod, namespace: InjectionNamespace, revisions: ReadonlySet<string>): Decision => {
  if (systemNamespaces.has(namespace.name)) return no(`namespace ${namespace.name} belongs to Kubernetes itself`);
  const decision = asked(pod, namespace, revisions);
  if (!decision.inject) return decision;
  if (pod.spec?.hostNetwork === true) return no("the pod uses the node's network (hostNetwork)", true);
  if (isWindows(pod)) return no("the pod runs on Windows", true);
  if (ambient(pod)) return no("the pod has the label istio.io/dataplane-mode=ambient", true);
  return decision;
};

const levelLabel = "pod-security.kubernetes.io/enforce";

/** Refuses where Kubernetes itself would, since its own message does not say what the mesh needs. */
export const refuseWithoutNetAdmin = (namespace: InjectionNamespace): void => {
  const level = namespace.labels?.[levelLabel];
  if (level === "baseline" || level === "restricted")
    refuse(
      `namespace ${namespace.name} has the label ${levelLabel}=${level}, which forbids NET_ADMIN, and the init container that redirects traffic needs it; set the label to "privileged", or leave the pod outside the mesh with the label sidecar.istio.io/inject: "false". A CNI plugin that needs no such container is planned and does not exist yet`,
    );
};
