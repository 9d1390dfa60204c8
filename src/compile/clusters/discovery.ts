import { permissive } from "../../model/peer-authentication.js";
import type { Endpoint, MeshService, ServicePort } from "../../model/service.js";
import { Cluster_DiscoveryType, type ClusterSchema } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import { durationOf } from "../duration.js";
import { loadAssignment } from "../endpoints/assignment.js";
import type { Init } from "../init.js";
import { fromStream } from "../tls.js";
import { dynamicDnsDiscovery, lookupFamily } from "./dynamic-dns.js";
import type { OutboundClusterOptions } from "./options.js";

type ClusterInit = Init<typeof ClusterSchema>;

/** How the endpoints of a cluster are found; `original-destination` and `dynamic-dns` choose them too. */
export type Discovery = MeshService["resolution"] | "none";

/** A policy of PASSTHROUGH goes where the client wanted, whatever the service's own way. */
export const discoveryOf = ({ service, policy }: OutboundClusterOptions): Discovery =>
  policy.loadBalancer?.simple === "PASSTHROUGH" && service.resolution !== "dynamic-dns"
    ? "original-destination"
    : service.resolution;

/** The answer's lifetime decides when to ask again; the mesh's rate does for failures. */
const dns = ({ families, mesh }: Pick<OutboundClusterOptions, "families" | "mesh">): ClusterInit => ({
  dnsLookupFamily: lookupFamily(families),
  respectDnsTtl: true,
  dnsRefreshRate: durationOf(mesh.dnsRefreshRateMilliseconds),
});

/** The host itself, which is a DNS name. */
const hostEndpoint = ({ host, namespace }: MeshService, port: ServicePort): Endpoint => ({
  address: host,
  ports: new Map([[port.name, typeof port.targetPort === "number" ? port.targetPort : port.port]]),
  isInMesh: false,
  mtls: permissive,
  namespace,
  serviceAccount: undefined,
  podName: undefined,
  labels: {},
  region: "",
  zone: "",
  subzone: "",
  nodeName: undefined,
  isDraining: false,
  weight: 1,
});

/** The endpoints that go into the cluster; sockets of the machine have no DNS name. */
const inlineEndpoints = (options: OutboundClusterOptions): readonly Endpoint[] => {
  const { service, port, endpoints, labels } = options;
  const named = endpoints.filter(({ address, ports }) => !address.startsWith("unix://") && ports.has(port.name));
  const isWhole = Object.keys(labels ?? {}).length === 0;
  const listed =
    endpoints.length === 0 && isWhole && !service.host.startsWith("*") ? [hostEndpoint(service, port)] : named;
  return discoveryOf(options) === "dns-round-robin" ? listed.slice(0, 1) : listed;
};

const inline = (options: OutboundClusterOptions, name: string, type: Cluster_DiscoveryType): ClusterInit => {
  const endpoints = inlineEndpoints(options);
  // A name to look up is what these types live on; without any, there is nobody to send to.
  if (endpoints.length === 0) return { clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC } };
  return {
    ...dns(options),
    clusterDiscoveryType: { case: "type", value: type },
    loadAssignment: loadAssignment({
      ...options,
      clusterName: name,
      endpoints,
      // There is nothing to rank, and Envoy wants exactly one.
      proxy: type === Cluster_DiscoveryType.LOGICAL_DNS ? undefined : options.proxy,
    }),
  };
};

/** A ServiceEntry's port may lead to another of the destination. */
const originalDestination = ({ service, port }: OutboundClusterOptions): ClusterInit => ({
  clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
  ...(service.origin === "ServiceEntry" && typeof port.targetPort === "number" && port.targetPort !== port.port
    ? { lbConfig: { case: "originalDstLbConfig", value: { upstreamPortOverride: port.targetPort } } }
    : {}),
});

export const discovery = (kind: Discovery, options: OutboundClusterOptions, name: string): ClusterInit => {
  switch (kind) {
    case "eds":
      return {
        clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS },
        edsClusterConfig: { edsConfig: fromStream(), serviceName: name },
      };
    case "original-destination":
      return originalDestination(options);
    case "dns":
      return inline(options, name, Cluster_DiscoveryType.STRICT_DNS);
    case "dns-round-robin":
      return inline(options, name, Cluster_DiscoveryType.LOGICAL_DNS);
    case "dynamic-dns":
      return dynamicDnsDiscovery(options.families, options.mesh);
    case "none":
      return { clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC } };
  }
};
