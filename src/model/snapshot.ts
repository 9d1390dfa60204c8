import type { EndpointSlice, Namespace, Node, Pod } from "../api/kubernetes.js";
import { defaultMeshConfig, type MeshConfig } from "../api/meshconfig.js";
import type { DestinationRule } from "../api/networking/destination-rule.js";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import type { ServiceEntry } from "../api/networking/service-entry.js";
import type { Sidecar } from "../api/networking/sidecar.js";
import type { VirtualService } from "../api/networking/virtual-service.js";
import type { WorkloadEntry } from "../api/networking/workload-entry.js";
import type { AuthorizationPolicy } from "../api/security/authorization-policy-spec.js";
import type { KeySet } from "../api/security/key-set.js";
import type { RequestAuthentication } from "../api/security/request-authentication-schema.js";
import type { Telemetry } from "../api/telemetry/telemetry.js";
import type { NamespaceDestinationRules } from "./destination-rule.js";
import type { NamespacePeerAuthentications } from "./peer-authentication.js";
import type { MeshService } from "./service.js";
import type { ResolvedVirtualService } from "./virtual-service.js";

/** VirtualServices with their delegates merged in, and what leads to them. All keys are `namespace/name`. */
export interface VirtualServices {
  readonly written: ReadonlyMap<string, VirtualService>;
  /** Those that have hosts of their own. */
  readonly resolved: ReadonlyMap<string, ResolvedVirtualService>;
  /** By host or wildcard. */
  readonly byHost: ReadonlyMap<string, ReadonlySet<string>>;
  /** By the host of a destination. */
  readonly byDestination: ReadonlyMap<string, ReadonlySet<string>>;
  /** By a delegate that they name, whether it exists or not. */
  readonly byDelegate: ReadonlyMap<string, ReadonlySet<string>>;
}

/** An immutable view of the cluster. Keys are `namespace/name` where nothing else is said. */
export interface Snapshot {
  readonly version: number;
  readonly mesh: MeshConfig;
  readonly namespaces: ReadonlyMap<string, Namespace>;
  readonly nodes: ReadonlyMap<string, Node>;
  readonly pods: ReadonlyMap<string, Pod>;
  /** Services, and hosts of ServiceEntries, by their own key. */
  readonly services: ReadonlyMap<string, MeshService>;
  readonly servicesOfHost: ReadonlyMap<string, ReadonlySet<string>>;
  readonly servicesOfNamespace: ReadonlyMap<string, ReadonlySet<string>>;
  /** By the host that an ExternalName service stands for. */
  readonly servicesOfExternalName: ReadonlyMap<string, ReadonlySet<string>>;
  readonly slices: ReadonlyMap<string, EndpointSlice>;
  readonly slicesOfService: ReadonlyMap<string, ReadonlySet<string>>;
  /** By pod, the slices that name it. */
  readonly slicesOfPod: ReadonlyMap<string, ReadonlySet<string>>;
  readonly podsOfNamespace: ReadonlyMap<string, ReadonlySet<string>>;
  readonly serviceEntries: ReadonlyMap<string, ServiceEntry>;
  readonly workloadEntries: ReadonlyMap<string, WorkloadEntry>;
  readonly workloadEntriesOfNamespace: ReadonlyMap<string, ReadonlySet<string>>;
  readonly virtualServices: VirtualServices;
  readonly destinationRules: ReadonlyMap<string, DestinationRule>;
  /** By namespace, merged by host. */
  readonly destinationRulesOfNamespace: ReadonlyMap<string, NamespaceDestinationRules>;
  readonly sidecars: ReadonlyMap<string, Sidecar>;
  readonly sidecarsOfNamespace: ReadonlyMap<string, ReadonlySet<string>>;
  readonly envoyFilters: ReadonlyMap<string, EnvoyFilter>;
  /** By namespace. */
  readonly peerAuthentications: ReadonlyMap<string, NamespacePeerAuthentications>;
  /** By namespace, oldest first. */
  readonly authorizationPolicies: ReadonlyMap<string, readonly AuthorizationPolicy[]>;
  readonly requestAuthentications: ReadonlyMap<string, readonly RequestAuthentication[]>;
  /** Keys of token issuers, by the id of their source. */
  readonly keySets: ReadonlyMap<string, KeySet>;
  readonly telemetries: ReadonlyMap<string, readonly Telemetry[]>;
  /** Of rules that choose their clients by label, `kind namespace/name` to the labels' names. */
  readonly clientLabels: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What a batch of events changed. */
export interface SnapshotDiff {
  /** Hosts, and wildcards of VirtualServices, whose clusters, listeners, endpoints or routes may differ. */
  readonly hosts: ReadonlySet<string>;
  readonly pods: ReadonlySet<string>;
  /** Namespaces in which what pods serve may differ: by Services, DestinationRules, Sidecars or PeerAuthentications. */
  readonly inbound: ReadonlySet<string>;
  /** Namespaces in which whose calls pods take may differ: by policies of which only some may be for a pod. */
  readonly restricted: ReadonlySet<string>;
  /** Which configuration applies to which client may differ, for any of them. */
  readonly clients: boolean;
}

export const emptySnapshot = (mesh: MeshConfig = defaultMeshConfig): Snapshot => ({
  version: 0,
  mesh,
  namespaces: new Map(),
  nodes: new Map(),
  pods: new Map(),
  services: new Map(),
  servicesOfHost: new Map(),
  servicesOfNamespace: new Map(),
  servicesOfExternalName: new Map(),
  slices: new Map(),
  slicesOfService: new Map(),
  slicesOfPod: new Map(),
  podsOfNamespace: new Map(),
  serviceEntries: new Map(),
  workloadEntries: new Map(),
  workloadEntriesOfNamespace: new Map(),
  virtualServices: {
    written: new Map(),
    resolved: new Map(),
    byHost: new Map(),
    byDestination: new Map(),
    byDelegate: new Map(),
  },
  destinationRules: new Map(),
  destinationRulesOfNamespace: new Map(),
  sidecars: new Map(),
  sidecarsOfNamespace: new Map(),
  envoyFilters: new Map(),
  peerAuthentications: new Map(),
  authorizationPolicies: new Map(),
  requestAuthentications: new Map(),
  keySets: new Map(),
  telemetries: new Map(),
  clientLabels: new Map(),
});

export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

export const namespaceOf = (key: string): string => key.slice(0, key.indexOf("/"));
