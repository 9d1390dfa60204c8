import type { Endpoint, MeshService, ServicePort } from "../model/service.js";
import type { ClusterLoadAssignment } from "../proto/envoy/config/endpoint/v3/endpoint_pb.js";
import { outboundClusterName } from "./clusters/names.js";
import { loadAssignment as assignmentOf } from "./endpoints/assignment.js";

/** The endpoints of one port of a service that no DestinationRule is about. */
export const loadAssignment = (
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
): ClusterLoadAssignment =>
  assignmentOf({
    clusterName: outboundClusterName(service.host, port.port),
    port,
    endpoints,
    policy: {},
    mesh: {},
    proxy: undefined,
  });
