import type { V1Container, V1Pod } from "@kubernetes/client-node";

/** Resolves `$(NAME)` the way the kubelet does; `$$` stands for one `$`. */
export const expand = (text: string, environment: ReadonlyMap<string, string>): string =>
  text.replace(/\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)/g, (whole, name: string | undefined) =>
    name === undefined ? "$" : (environment.get(name) ?? whole),
  );

const fieldOf = (pod: V1Pod, path: string): string => {
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (keyed !== null) return pod.metadata?.[keyed[1] as "labels" | "annotations"]?.[keyed[2] ?? ""] ?? "";
  const fields: Readonly<Record<string, string | undefined>> = {
    "metadata.name": pod.metadata?.name,
    "metadata.namespace": pod.metadata?.namespace,
    "metadata.uid": pod.metadata?.uid,
    "spec.nodeName": pod.spec?.nodeName,
    "spec.serviceAccountName": pod.spec?.serviceAccountName ?? "default",
    "status.podIP": pod.status?.podIP,
    "status.podIPs": pod.status?.podIPs?.map(({ ip }) => ip).join(),
    "status.hostIP": pod.status?.hostIP,
  };
  const value = fields[path];
  if (value === undefined) throw new Error(`pod ${pod.metadata?.name}: fieldPath ${path} is not known here`);
  return value;
};

const resourceOf = (container: V1Container, resource: string): string =>
  container.resources?.limits?.[resource.replace(/^limits\./, "")] ?? "0";

/** A container's environment, with what the downward API says of the pod. */
export const environmentOf = (pod: V1Pod, container: V1Container): ReadonlyMap<string, string> => {
  const environment = new Map<string, string>();
  for (const variable of container.env ?? []) {
    const { fieldRef, resourceFieldRef } = variable.valueFrom ?? {};
    if (fieldRef !== undefined) environment.set(variable.name, fieldOf(pod, fieldRef.fieldPath));
    else if (resourceFieldRef !== undefined)
      environment.set(variable.name, resourceOf(container, resourceFieldRef.resource));
    else environment.set(variable.name, expand(variable.value ?? "", environment));
  }
  return environment;
};
