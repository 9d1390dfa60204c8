import { ClusterSchema } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../proto/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../proto/envoy/config/route/v3/route_pb.js";
import { encodeResource } from "./encode.js";
import type { HostOutput } from "./host.js";
import type { Patcher } from "./patcher.js";
import { type EncodedResource, type TypeUrl, typeUrls } from "./resources.js";

/** A type and a name in one text. */
export type ResourceId = string;

export const idOf = (type: TypeUrl, name: string): ResourceId => `${type} ${name}`;

export const partsOf = (id: ResourceId): { readonly type: TypeUrl; readonly name: string } => {
  const space = id.indexOf(" ");
  return { type: id.slice(0, space) as TypeUrl, name: id.slice(space + 1) };
};

/** What one host is to a client, encoded; what it shares with others and what is another for each place is not. */
export interface EncodedOutput {
  readonly questions: HostOutput["questions"];
  readonly resources: ReadonlyMap<ResourceId, EncodedResource>;
  readonly placed: HostOutput["placed"];
  readonly ports: HostOutput["ports"];
}

export const encodeOutput = (output: HostOutput, patcher: Patcher): EncodedOutput => {
  const resources = new Map<ResourceId, EncodedResource>();
  const put = (type: TypeUrl, resource: EncodedResource): void => {
    resources.set(idOf(type, resource.name), resource);
  };
  for (const written of output.clusters) {
    const cluster = patcher.cluster(written);
    if (cluster !== undefined)
      put(typeUrls.cluster, encodeResource(typeUrls.cluster, cluster.name, ClusterSchema, cluster));
  }
  for (const assignment of output.assignments)
    put(
      typeUrls.endpoint,
      encodeResource(typeUrls.endpoint, assignment.clusterName, ClusterLoadAssignmentSchema, assignment),
    );
  for (const written of output.listeners) {
    const listener = patcher.listener(written);
    if (listener !== undefined)
      put(typeUrls.listener, encodeResource(typeUrls.listener, listener.name, ListenerSchema, listener));
  }
  for (const written of output.routes) {
    const routes = patcher.routes(written);
    put(typeUrls.route, encodeResource(typeUrls.route, routes.name, RouteConfigurationSchema, routes));
  }
  return { questions: output.questions, resources, placed: output.placed, ports: output.ports };
};

export const isEmptyOutput = ({ resources, ports, placed }: EncodedOutput): boolean =>
  resources.size === 0 && ports.size === 0 && placed.size === 0;
