import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import type { Cluster } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { Listener } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { type RouteConfiguration, RouteConfigurationSchema } from "../proto/envoy/config/route/v3/route_pb.js";

/** Applies a client's EnvoyFilters to what is made for it; without any, everything stays as it is. */
export interface Patcher {
  /** Undefined if a filter removes it. */
  readonly cluster: (cluster: Cluster) => Cluster | undefined;
  readonly listener: (listener: Listener) => Listener | undefined;
  readonly routes: (routes: RouteConfiguration) => RouteConfiguration;
  /** As `routes`, on the wire form. */
  readonly routeBytes: (bytes: Uint8Array) => Uint8Array;
  readonly addedClusters: () => readonly Cluster[];
  readonly addedListeners: () => readonly Listener[];
}

const untouched: Patcher = {
  cluster: (cluster) => cluster,
  listener: (listener) => listener,
  routes: (routes) => routes,
  routeBytes: (bytes) => bytes,
  addedClusters: () => [],
  addedListeners: () => [],
};

export const createPatcher = (filters: readonly EnvoyFilter[], _direction: string): Patcher => {
  if (filters.length === 0) return untouched;
  const routes: Patcher["routes"] = (written) => written;
  return {
    ...untouched,
    routes,
    routeBytes: (bytes) => toBinary(RouteConfigurationSchema, routes(fromBinary(RouteConfigurationSchema, bytes))),
  };
};
