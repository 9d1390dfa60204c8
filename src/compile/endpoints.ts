import { create } from "@bufbuild/protobuf";
import type { Endpoint, MeshService, ServicePort } from "../model/service.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../proto/envoy/config/endpoint/v3/endpoint_pb.js";
import { outboundClusterName } from "./clusters.js";

const inMesh = { "envoy.transport_socket_match": { tlsMode: "istio" } };

const isIPv6 = (address: string): boolean => address.includes(":");

/** One address a pod: the IPv4 one of a dual-stack pod, so that it does not count twice. */
const oncePerPod = (endpoints: readonly Endpoint[]): readonly Endpoint[] => {
  const withIPv4 = new Set(endpoints.filter(({ address }) => !isIPv6(address)).map(({ podName }) => podName));
  return endpoints.filter(
    ({ address, podName }) => podName === undefined || !isIPv6(address) || !withIPv4.has(podName),
  );
};

export const loadAssignment = (
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
): ClusterLoadAssignment => {
  const localities = new Map<string, Endpoint[]>();
  for (const endpoint of oncePerPod(endpoints)) {
    if (!endpoint.ports.has(port.name)) continue;
    const key = `${endpoint.region}/${endpoint.zone}`;
    const list = localities.get(key);
    if (list === undefined) localities.set(key, [endpoint]);
    else list.push(endpoint);
  }
  return create(ClusterLoadAssignmentSchema, {
    clusterName: outboundClusterName(service.host, port.port),
    endpoints: [...localities.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, members]) => ({
        locality: { region: members[0]!.region, zone: members[0]!.zone },
        loadBalancingWeight: members.length,
        lbEndpoints: members.map((endpoint) => ({
          loadBalancingWeight: 1,
          hostIdentifier: {
            case: "endpoint" as const,
            value: {
              address: {
                address: {
                  case: "socketAddress" as const,
                  value: {
                    address: endpoint.address,
                    portSpecifier: { case: "portValue" as const, value: endpoint.ports.get(port.name)! },
                  },
                },
              },
            },
          },
          metadata: {
            filterMetadata: endpoint.isInMesh ? inMesh : {},
          },
        })),
      })),
  });
};
