import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import type { Cluster } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { TypedExtensionConfig } from "../proto/envoy/config/core/v3/extension_pb.js";
import type { Listener } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { type RouteConfiguration, RouteConfigurationSchema } from "../proto/envoy/config/route/v3/route_pb.js";
import { addedClusters, addedListeners, extensionConfigs } from "./patch/additions.js";
import { patchCluster } from "./patch/clusters.js";
import { patchListener } from "./patch/listener.js";
import type { PatchContext } from "./patch/match.js";
import { compilePatches, type KeyedFinding } from "./patch/patches.js";
import { createPatchReport, type PatchReport, reportedFindings } from "./patch/report.js";
import { patchRouteConfiguration } from "./patch/routes.js";
import { type TypeUrl, typeUrls } from "./resources.js";

/** Applies a client's EnvoyFilters to what is made for it; without any, everything stays as it is. */
export interface Patcher {
  /** Undefined if a filter removes it. `services` are the hosts that a cluster is of. */
  readonly cluster: (cluster: Cluster, services?: readonly string[]) => Cluster | undefined;
  readonly listener: (listener: Listener) => Listener | undefined;
  readonly routes: (routes: RouteConfiguration) => RouteConfiguration;
  /** As `routes`, on the wire form. */
  readonly routeBytes: (bytes: Uint8Array) => Uint8Array;
  readonly addedClusters: () => readonly Cluster[];
  readonly addedListeners: () => readonly Listener[];
  readonly extensions: () => readonly TypedExtensionConfig[];
  /** Keys of the filters that have changed, or brought, the resource of this type and name. */
  readonly filtersOf: (type: TypeUrl, name: string) => readonly string[];
  /** What is wrong with the filters, and which of their patches have changed nothing so far. */
  readonly findings: () => readonly KeyedFinding[];
}

const untouched: Patcher = {
  cluster: (cluster) => cluster,
  listener: (listener) => listener,
  routes: (routes) => routes,
  routeBytes: (bytes) => bytes,
  addedClusters: () => [],
  addedListeners: () => [],
  extensions: () => [],
  filtersOf: () => [],
  findings: () => [],
};

export const createPatcher = (filters: readonly EnvoyFilter[], direction: PatchContext["direction"]): Patcher => {
  if (filters.length === 0) return untouched;
  const set = compilePatches(filters);
  const context: PatchContext = { direction, proxyVersion: "", nodeMetadata: {} };
  const report = createPatchReport();
  const changedBy = new Map<string, Set<string>>();
  /** Notes which filters change this resource, besides what `report` notes. */
  const noting = (type: TypeUrl, name: string): PatchReport => ({
    ...report,
    applied: (patch) => {
      report.applied(patch);
      note(type, name, patch.key);
    },
  });
  const note = (type: TypeUrl, name: string, key: string): void => {
    const id = `${type} ${name}`;
    const keys = changedBy.get(id);
    if (keys === undefined) changedBy.set(id, new Set([key]));
    else keys.add(key);
  };
  const added = <T extends { readonly name: string }>(
    type: TypeUrl,
    make: (report: PatchReport) => readonly T[],
  ): readonly T[] =>
    make({
      ...report,
      applied: (patch) => {
        report.applied(patch);
        note(type, (patch.value as unknown as T).name, patch.key);
      },
    });
  const routes: Patcher["routes"] = (written) =>
    patchRouteConfiguration(set, context, written, noting(typeUrls.route, written.name));
  return {
    routes,
    cluster: (cluster, services) =>
      patchCluster(set, context, cluster, services, noting(typeUrls.cluster, cluster.name)),
    listener: (listener) => patchListener(set, context, listener, noting(typeUrls.listener, listener.name)),
    routeBytes: (bytes) => toBinary(RouteConfigurationSchema, routes(fromBinary(RouteConfigurationSchema, bytes))),
    addedClusters: () => added(typeUrls.cluster, (own) => addedClusters(set, context, undefined, own)),
    addedListeners: () => added(typeUrls.listener, (own) => addedListeners(set, context, undefined, own)),
    extensions: () => added(typeUrls.extension, (own) => extensionConfigs(set, context, own)),
    filtersOf: (type, name) => [...(changedBy.get(`${type} ${name}`) ?? [])],
    findings: () => [...set.findings, ...reportedFindings(set, report)],
  };
};
