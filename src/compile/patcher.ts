import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import type { Cluster } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { TypedExtensionConfig } from "../proto/envoy/config/core/v3/extension_pb.js";
import type { Listener } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { type RouteConfiguration, RouteConfigurationSchema } from "../proto/envoy/config/route/v3/route_pb.js";
import { bytesOf, type Fragment, fragmentOf } from "./encode.js";
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
  readonly routeFragments: (fragments: readonly Fragment[]) => readonly Fragment[];
  /** Those whose names are not `taken`. */
  readonly addedClusters: (taken: ReadonlySet<string>) => readonly Cluster[];
  readonly addedListeners: (taken: ReadonlySet<string>) => readonly Listener[];
  readonly extensions: () => readonly TypedExtensionConfig[];
  /** Keys of the filters that have changed, or brought, the resource of this type and name. */
  readonly filtersOf: (type: TypeUrl, name: string) => readonly string[];
  /** What is wrong with the filters, and which of their patches have changed nothing so far. */
  readonly findings: () => readonly KeyedFinding[];
}

export const namesOf = (resources: readonly { readonly name: string }[]): ReadonlySet<string> =>
  new Set(resources.map(({ name }) => name));

const untouched: Patcher = {
  cluster: (cluster) => cluster,
  listener: (listener) => listener,
  routes: (routes) => routes,
  routeFragments: (fragments) => fragments,
  addedClusters: () => [],
  addedListeners: () => [],
  extensions: () => [],
  filtersOf: () => [],
  findings: () => [],
};

/** The version of Istio whose configuration this mesh takes, for patches that are for some versions only. */
const proxyVersion = "1.29.0";

export const createPatcher = (filters: readonly EnvoyFilter[], direction: PatchContext["direction"]): Patcher => {
  if (filters.length === 0) return untouched;
  const set = compilePatches(filters);
  const context: PatchContext = { direction, proxyVersion, nodeMetadata: {} };
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
    addedClusters: (taken) =>
      added(typeUrls.cluster, (own) => addedClusters(set, context, (name) => taken.has(name), own)),
    addedListeners: (taken) =>
      added(typeUrls.listener, (own) => addedListeners(set, context, (name) => taken.has(name), own)),
    extensions: () => added(typeUrls.extension, (own) => extensionConfigs(set, context, own)),
    filtersOf: (type, name) => [...(changedBy.get(`${type} ${name}`) ?? [])],
    routeFragments: (fragments) => {
      const written = fromBinary(RouteConfigurationSchema, bytesOf(fragments));
      return [fragmentOf(toBinary(RouteConfigurationSchema, routes(written)))];
    },
    findings: () => [...set.findings, ...reportedFindings(set, report)],
  };
};
