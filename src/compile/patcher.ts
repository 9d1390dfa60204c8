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
import { createPatchReport, reportedFindings } from "./patch/report.js";
import { patchRouteConfiguration } from "./patch/routes.js";

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
  findings: () => [],
};

/** The version of Istio whose configuration this mesh takes, for patches that are for some versions only. */
const proxyVersion = "1.29.0";

export const createPatcher = (
  filters: readonly EnvoyFilter[],
  direction: PatchContext["direction"],
  quarantined: ReadonlySet<string> = new Set(),
): Patcher => {
  if (filters.length === 0) return untouched;
  const set = compilePatches(filters, quarantined);
  const context: PatchContext = { direction, proxyVersion, nodeMetadata: {} };
  const report = createPatchReport();
  const routes: Patcher["routes"] = (written) => patchRouteConfiguration(set, context, written, report);
  return {
    routes,
    cluster: (cluster, services) => patchCluster(set, context, cluster, services, report),
    listener: (listener) => patchListener(set, context, listener, report),
    routeFragments: (fragments) => {
      const written = fromBinary(RouteConfigurationSchema, bytesOf(fragments));
      return [fragmentOf(toBinary(RouteConfigurationSchema, routes(written)))];
    },
    addedClusters: (taken) => addedClusters(set, context, (name) => taken.has(name), report),
    addedListeners: (taken) => addedListeners(set, context, (name) => taken.has(name), report),
    extensions: () => extensionConfigs(set, context, report),
    findings: () => [...set.findings, ...reportedFindings(set, report)],
  };
};
