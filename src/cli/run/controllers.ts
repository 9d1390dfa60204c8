import type { V1Deployment, V1Node, V1Pod, V1Service } from "@kubernetes/client-node";

/** What the controllers of a cluster would make of a directory's objects before any pod starts. */

/** One pod for each replica, with the Deployment's name and a number. */
export const podsOfDeployment = ({ metadata, spec }: V1Deployment): readonly V1Pod[] => {
  const template = spec?.template;
  return Array.from({ length: spec?.replicas ?? 1 }, (_, index) => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...template?.metadata,
      name: `${metadata?.name}-${index + 1}`,
      namespace: metadata?.namespace ?? "default",
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "Deployment", name: metadata?.name ?? "", uid: metadata?.uid ?? "" },
      ],
    },
    ...(template?.spec === undefined ? {} : { spec: template.spec }),
  }));
};

const withoutAddress = ({ spec }: V1Service): boolean => spec?.type !== "ExternalName" && spec?.clusterIP === undefined;

/** Cluster IPs of 10.96.0.0/16, from .1.1 on, for the Services that name none, and the address lists that go with one. */
export const withClusterAddresses = (services: readonly V1Service[]): readonly V1Service[] => {
  const taken = new Set(services.map(({ spec }) => spec?.clusterIP));
  let next = 257;
  const free = (): string => {
    for (;;) {
      const address = `10.96.${next >> 8}.${next & 255}`;
      next += 1;
      if (!taken.has(address)) return address;
    }
  };
  return services.map((service) => {
    if (!withoutAddress(service)) return service;
    const address = free();
    const spec = { ...service.spec, clusterIP: address, clusterIPs: [address], ipFamilies: ["IPv4"] };
    return { ...service, spec };
  });
};

const zoneLabels = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

/** A node that the pod's selector finds, made for it, when the selector names a place; the pod is bound to it. */
export const schedule = (pod: V1Pod): { readonly pod: V1Pod; readonly node: V1Node | undefined } => {
  const selector = pod.spec?.nodeSelector ?? {};
  const places = zoneLabels.flatMap((label) => selector[label] ?? []);
  if (pod.spec === undefined || pod.spec.nodeName !== undefined || places.length === 0) return { pod, node: undefined };
  const name = `node-${places.join("-")}`;
  return {
    pod: { ...pod, spec: { ...pod.spec, nodeName: name } },
    node: { apiVersion: "v1", kind: "Node", metadata: { name, labels: selector } },
  };
};
