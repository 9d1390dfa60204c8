import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import { type Endpoint, type ServicePort, type TrafficDistribution, takesMutualTls } from "../../model/service.js";
import { workloadLabelsOf } from "../../model/workload-labels.js";
import type { AddressSchema } from "../../proto/envoy/config/core/v3/address_pb.js";
import { HealthStatus } from "../../proto/envoy/config/core/v3/health_check_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../proto/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Init } from "../init.js";
import { metadataKey } from "../telemetry/keys.js";
import { type LocalityMesh, localityRule } from "./locality.js";
import { endpointGroups, type ProxyContext } from "./priorities.js";

export { dependsOnProxy } from "./locality.js";
export type { ProxyContext, ProxyLocality } from "./priorities.js";

const mutualTls = { "envoy.transport_socket_match": { tlsMode: "istio" } };
const unixScheme = "unix://";

const isIPv6 = (address: string): boolean => address.includes(":") && !address.startsWith(unixScheme);

/** One address a pod: the IPv4 one of a dual-stack pod, so that it does not count twice. */
const oncePerPod = (endpoints: readonly Endpoint[]): readonly Endpoint[] => {
  const idOf = ({ namespace, podName }: Endpoint): string => `${namespace}/${podName}`;
  const withIPv4 = new Set(endpoints.filter(({ address }) => !isIPv6(address)).map(idOf));
  return endpoints.filter(
    (endpoint) => endpoint.podName === undefined || !isIPv6(endpoint.address) || !withIPv4.has(idOf(endpoint)),
  );
};

/** Undefined for an endpoint that does not serve the port. */
const addressOf = (endpoint: Endpoint, port: ServicePort): Init<typeof AddressSchema> | undefined => {
  if (endpoint.address.startsWith(unixScheme))
    return { address: { case: "pipe", value: { path: endpoint.address.slice(unixScheme.length) } } };
  const portValue = endpoint.ports.get(port.name);
  if (portValue === undefined) return undefined;
  return {
    address: {
      case: "socketAddress",
      value: { address: endpoint.address, portSpecifier: { case: "portValue", value: portValue } },
    },
  };
};

/** What telemetry says of an endpoint that is a workload of the mesh's cluster, with or without a proxy. */
const metadataOf = (endpoint: Endpoint, port: ServicePort, { clusterId }: Pick<MeshConfig, "clusterId">) => ({
  ...(takesMutualTls(endpoint, port.name) ? mutualTls : {}),
  ...(endpoint.podName === undefined
    ? {}
    : {
        [metadataKey]: {
          ...workloadLabelsOf(endpoint.labels),
          namespace: endpoint.namespace,
          cluster: clusterId,
        },
      }),
});

export interface LoadAssignmentOptions {
  readonly clusterName: string;
  readonly port: ServicePort;
  /** Of the subset. */
  readonly endpoints: readonly Endpoint[];
  readonly policy: TrafficPolicy;
  readonly mesh: LocalityMesh & Pick<MeshConfig, "clusterId">;
  /** Whom it is for, where `dependsOnProxy`; without one, endpoints are not ranked. */
  readonly proxy: ProxyContext | undefined;
  readonly trafficDistribution?: TrafficDistribution | undefined;
}

/** The endpoints of one cluster by locality, ranked and weighted for the proxy. */
export const loadAssignment = (options: LoadAssignmentOptions): ClusterLoadAssignment => {
  const { clusterName, port, policy, mesh, proxy, trafficDistribution } = options;
  const served = oncePerPod(options.endpoints).filter((endpoint) => addressOf(endpoint, port) !== undefined);
  const groups = endpointGroups(served, localityRule(policy, mesh, trafficDistribution), proxy);
  return create(ClusterLoadAssignmentSchema, {
    clusterName,
    endpoints: groups.map(({ region, zone, subzone, priority, weight, members }) => ({
      locality: { region, zone, subZone: subzone },
      priority,
      loadBalancingWeight: weight,
      lbEndpoints: members.map((endpoint) => ({
        loadBalancingWeight: Math.max(1, endpoint.weight),
        hostIdentifier: { case: "endpoint" as const, value: { address: addressOf(endpoint, port)! } },
        metadata: { filterMetadata: metadataOf(endpoint, port, mesh) },
        ...(endpoint.isDraining ? { healthStatus: HealthStatus.DRAINING } : {}),
      })),
    })),
  });
};
