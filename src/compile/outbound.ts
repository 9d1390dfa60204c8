import type { Endpoint, MeshService, ServicePort } from "../model/service.js";
import { endpointsOf, type Snapshot } from "../model/snapshot.js";
import { ClusterSchema } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../proto/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../proto/envoy/config/route/v3/route_pb.js";
import { outboundCluster, outboundClusterName } from "./clusters.js";
import { encodeResource } from "./encode.js";
import { loadAssignment } from "./endpoints.js";
import { addressListenerName, detectingListener, type IpFamilies, tcpListener } from "./listeners.js";
import { type EncodedResource, type TypeUrl, typeUrls } from "./resources.js";
import { hostRoutes, type RoutedService } from "./routes.js";

export interface TypedResource {
  readonly type: TypeUrl;
  readonly resource: EncodedResource;
}

export const isHttp = ({ protocol }: ServicePort): boolean => protocol === "http" || protocol === "http2";

const isServed = (address: string, families: IpFamilies): boolean =>
  families.includes(address.includes(":") ? "IPv6" : "IPv4");

const clusterOf = (
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
  snapshot: Snapshot,
): TypedResource => {
  const cluster = outboundCluster(service, port, endpoints, snapshot.mesh);
  return { type: typeUrls.cluster, resource: encodeResource(typeUrls.cluster, cluster.name, ClusterSchema, cluster) };
};

/** Listeners of a port that is not plain HTTP: one for each address, which for a headless service are its pods'. */
const addressListeners = (
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
  families: IpFamilies,
  snapshot: Snapshot,
): readonly TypedResource[] => {
  const cluster = outboundClusterName(service.host, port.port);
  const targets = service.isHeadless
    ? endpoints.flatMap(({ address, ports }) =>
        ports.has(port.name) ? [{ address, number: ports.get(port.name)! }] : [],
      )
    : service.addresses.map((address) => ({ address, number: port.port }));
  return targets
    .filter(({ address }) => isServed(address, families))
    .map(({ address, number }) => {
      const listener =
        port.protocol === "auto"
          ? detectingListener(address, number, service.host, cluster, service.clientAffinity, snapshot.mesh)
          : tcpListener(address, number, cluster, service.clientAffinity);
      const name = addressListenerName(address, number);
      return { type: typeUrls.listener, resource: encodeResource(typeUrls.listener, name, ListenerSchema, listener) };
    });
};

/** All that one service adds to what every proxy sees; routes of its HTTP ports are shared and made elsewhere. */
export const serviceResources = (
  snapshot: Snapshot,
  serviceKey: string,
  families: IpFamilies,
): readonly TypedResource[] => {
  const service = snapshot.services.get(serviceKey);
  if (service === undefined || service.externalName !== undefined) return [];
  const endpoints = endpointsOf(snapshot, serviceKey);
  return service.ports.flatMap((port) => {
    const assignment = loadAssignment(service, port, endpoints);
    return [
      clusterOf(service, port, endpoints, snapshot),
      ...(service.isHeadless
        ? []
        : [
            {
              type: typeUrls.endpoint,
              resource: encodeResource(
                typeUrls.endpoint,
                assignment.clusterName,
                ClusterLoadAssignmentSchema,
                assignment,
              ),
            },
          ]),
      ...(isHttp(port) ? [] : addressListeners(service, port, endpoints, families, snapshot)),
      ...(port.protocol === "auto" ? [detectedRoutes(service, port)] : []),
    ];
  });
};

const detectedRoutes = (service: MeshService, port: ServicePort): TypedResource => {
  const routes = hostRoutes(service, port.port);
  return {
    type: typeUrls.route,
    resource: encodeResource(typeUrls.route, routes.name, RouteConfigurationSchema, routes),
  };
};

/** The HTTP ports of a service, which for an ExternalName are those of the service in the mesh that it stands for. */
export const routedOf = (snapshot: Snapshot, serviceKey: string): readonly RoutedService[] => {
  const service = snapshot.services.get(serviceKey);
  if (service === undefined) return [];
  if (service.externalName === undefined)
    return service.ports.filter(isHttp).map((port) => ({ service, port, targetHost: service.host }));
  const [name = "", namespace = ""] = service.externalName.split(".");
  const target = snapshot.services.get(`${namespace}/${name}`);
  if (target === undefined || target.host !== service.externalName.replace(/\.$/, "")) return [];
  return target.ports.filter(isHttp).map((port) => ({ service, port, targetHost: target.host }));
};
