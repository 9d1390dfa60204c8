import type { Namespace, Pod, Service } from "../../api/kubernetes.js";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { DestinationRule } from "../../api/networking/destination-rule.js";
import type { EnvoyFilter } from "../../api/networking/envoy-filter.js";
import type { ProxyConfig } from "../../api/networking/proxy-config.js";
import type { ServiceEntry } from "../../api/networking/service-entry.js";
import type { Sidecar } from "../../api/networking/sidecar.js";
import type { VirtualService } from "../../api/networking/virtual-service.js";
import type { WorkloadEntry } from "../../api/networking/workload-entry.js";
import type { AuthorizationPolicy } from "../../api/security/authorization-policy-spec.js";
import type { PeerAuthentication } from "../../api/security/peer-authentication.js";
import type { RequestAuthentication } from "../../api/security/request-authentication-schema.js";
import type { Telemetry } from "../../api/telemetry/telemetry.js";
import { byAge } from "../age.js";
import { qualifiedHost } from "../host.js";
import { type NamespacePeerAuthentications, peerAuthenticationsOf } from "../peer-authentication.js";
import type { MeshService } from "../service.js";
import { type Hosts, indexHosts } from "./hosts.js";
import { keyOf, nameOf, namespaceOf, push } from "./named.js";
import { indexWorkloads, type Workloads, type WorkloadTemplate } from "./workloads.js";

/** Everything that analysis looks at. A list that is left out holds nothing, but `gateways`: then they are not known. */
export interface AnalysisObjects {
  readonly namespaces?: readonly Namespace[];
  /** Of Services and ServiceEntries: what a host may name. */
  readonly meshServices?: readonly MeshService[];
  readonly services?: readonly Service[];
  readonly pods?: readonly Pod[];
  readonly templates?: readonly WorkloadTemplate[];
  readonly virtualServices?: readonly VirtualService[];
  readonly destinationRules?: readonly DestinationRule[];
  readonly serviceEntries?: readonly ServiceEntry[];
  readonly workloadEntries?: readonly WorkloadEntry[];
  readonly sidecars?: readonly Sidecar[];
  readonly envoyFilters?: readonly EnvoyFilter[];
  readonly proxyConfigs?: readonly ProxyConfig[];
  readonly peerAuthentications?: readonly PeerAuthentication[];
  readonly authorizationPolicies?: readonly AuthorizationPolicy[];
  readonly requestAuthentications?: readonly RequestAuthentication[];
  readonly telemetries?: readonly Telemetry[];
  /** `namespace/name` of each Gateway. */
  readonly gateways?: ReadonlySet<string>;
}

export interface DelegateUse {
  readonly root: VirtualService;
  /** Of the rule: `spec.http[0]`. */
  readonly path: string;
}

/** The set, indexed. Each part is made when a check first asks for it, so that one object costs what it needs. */
export interface AnalysisIndex {
  readonly mesh: MeshConfig;
  readonly objects: AnalysisObjects;
  readonly hosts: () => Hosts;
  readonly workloads: () => Workloads;
  /** Empty if none is known, which says nothing about them. */
  readonly namespaces: () => ReadonlyMap<string, Namespace>;
  readonly virtualServices: () => ReadonlyMap<string, VirtualService>;
  /** Of sidecars, by full host, oldest first. */
  readonly virtualServicesByHost: () => ReadonlyMap<string, readonly VirtualService[]>;
  readonly delegateUses: () => ReadonlyMap<string, readonly DelegateUse[]>;
  /** By namespace, then by full host, oldest first. */
  readonly destinationRules: () => ReadonlyMap<string, ReadonlyMap<string, readonly DestinationRule[]>>;
  /** ServiceEntries whose TCP port has no address to be told by, oldest first. */
  readonly addressless: () => ReadonlyMap<number, readonly ServiceEntry[]>;
  readonly serviceEntries: () => ReadonlyMap<string, ServiceEntry>;
  readonly sidecars: () => ReadonlyMap<string, readonly Sidecar[]>;
  /** By namespace, oldest first. */
  readonly authorizationPolicies: () => ReadonlyMap<string, readonly AuthorizationPolicy[]>;
  readonly telemetries: () => ReadonlyMap<string, readonly Telemetry[]>;
  /** By namespace. */
  readonly peerAuthentications: () => ReadonlyMap<string, NamespacePeerAuthentications>;
  readonly servicesBySelector: () => ReadonlyMap<string, ReadonlyMap<string, readonly Service[]>>;
}

const once = <Value>(make: () => Value): (() => Value) => {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

export const isForSidecars = ({ spec }: VirtualService): boolean =>
  spec.gateways === undefined || spec.gateways.length === 0 || spec.gateways.includes("mesh");

/** TCP ports that only an address or the port tells apart: neither a Host header nor an SNI. */
export const opaquePorts = ({ spec }: ServiceEntry): readonly number[] =>
  (spec.addresses ?? []).length > 0
    ? []
    : (spec.ports ?? [])
        .filter(({ protocol }) => ["TCP", "MONGO", "MYSQL", "REDIS"].includes(protocol?.toUpperCase() ?? ""))
        .map(({ number }) => number);

const groupedByNamespace = <Value extends Sidecar | PeerAuthentication | AuthorizationPolicy | Telemetry>(
  objects: Iterable<Value>,
): Map<string, Value[]> => {
  const groups = new Map<string, Value[]>();
  for (const object of objects) push(groups, namespaceOf(object), object);
  for (const group of groups.values()) group.sort(byAge);
  return groups;
};

const sorted = <Key, Value extends VirtualService | DestinationRule | ServiceEntry>(map: Map<Key, Value[]>) => {
  for (const list of map.values()) if (list.length > 1) list.sort(byAge);
  return map;
};

/** Istio's key of a delegate: its namespace is the root's unless it says another. */
export const delegateKey = (
  delegate: { readonly name?: string; readonly namespace?: string },
  root: VirtualService,
): string => `${delegate.namespace || namespaceOf(root)}/${delegate.name ?? ""}`;

export const buildAnalysisIndex = (objects: AnalysisObjects, mesh: MeshConfig): AnalysisIndex => {
  const namespaces = once(() => new Map((objects.namespaces ?? []).map((object) => [nameOf(object), object])));
  const virtualServicesByHost = once(() => {
    const byHost = new Map<string, VirtualService[]>();
    for (const object of objects.virtualServices ?? []) {
      if (!isForSidecars(object)) continue;
      for (const host of object.spec.hosts ?? [])
        push(byHost, qualifiedHost(host, namespaceOf(object), mesh.clusterDomain), object);
    }
    return sorted(byHost);
  });
  const delegateUses = once(() => {
    const uses = new Map<string, DelegateUse[]>();
    for (const root of objects.virtualServices ?? [])
      (root.spec.http ?? []).forEach(({ delegate }, index) => {
        if (delegate !== undefined) push(uses, delegateKey(delegate, root), { root, path: `spec.http[${index}]` });
      });
    return uses;
  });
  const destinationRules = once(() => {
    const byNamespace = new Map<string, Map<string, DestinationRule[]>>();
    for (const object of objects.destinationRules ?? []) {
      const namespace = namespaceOf(object);
      const byHost = byNamespace.get(namespace) ?? new Map<string, DestinationRule[]>();
      byNamespace.set(namespace, byHost);
      push(byHost, qualifiedHost(object.spec.host, namespace, mesh.clusterDomain), object);
    }
    for (const byHost of byNamespace.values()) sorted(byHost);
    return byNamespace;
  });
  const addressless = once(() => {
    const byPort = new Map<number, ServiceEntry[]>();
    for (const object of objects.serviceEntries ?? [])
      for (const port of opaquePorts(object)) push(byPort, port, object);
    return sorted(byPort);
  });
  const servicesBySelector = once(() => {
    const byNamespace = new Map<string, Map<string, Service[]>>();
    for (const service of objects.services ?? []) {
      const [first] = Object.entries(service.spec?.selector ?? {});
      if (first === undefined) continue;
      const byLabel = byNamespace.get(namespaceOf(service)) ?? new Map<string, Service[]>();
      byNamespace.set(namespaceOf(service), byLabel);
      push(byLabel, `${first[0]}=${first[1]}`, service);
    }
    return byNamespace;
  });
  return {
    mesh,
    objects,
    namespaces,
    hosts: once(() => indexHosts(objects.meshServices ?? [])),
    workloads: once(() =>
      indexWorkloads(objects.pods ?? [], objects.templates ?? [], objects.workloadEntries ?? [], namespaces()),
    ),
    virtualServices: once(() => new Map((objects.virtualServices ?? []).map((object) => [keyOf(object), object]))),
    virtualServicesByHost,
    delegateUses,
    destinationRules,
    addressless,
    serviceEntries: once(() => new Map((objects.serviceEntries ?? []).map((object) => [keyOf(object), object]))),
    sidecars: once(() => groupedByNamespace(objects.sidecars ?? [])),
    authorizationPolicies: once(() => groupedByNamespace(objects.authorizationPolicies ?? [])),
    telemetries: once(() => groupedByNamespace(objects.telemetries ?? [])),
    peerAuthentications: once(
      () =>
        new Map(
          [...groupedByNamespace(objects.peerAuthentications ?? [])].map(([namespace, policies]) => [
            namespace,
            peerAuthenticationsOf(policies),
          ]),
        ),
    ),
    servicesBySelector,
  };
};
