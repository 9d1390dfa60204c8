import { authorizerHost } from "../api/extension-provider.js";
import { findDestinationRule, type MergedDestinationRule } from "../model/destination-rule.js";
import { isExportedTo, wildcardsOf } from "../model/hosts.js";
import type { MeshService } from "../model/service.js";
import { type SidecarScope, scopeOf, seenService, seesRule } from "../model/sidecar-scope.js";
import type { Snapshot } from "../model/snapshot.js";
import type { ResolvedVirtualService } from "../model/virtual-service.js";
import type { Client } from "./client.js";

/** What one client sees of a snapshot. Equal answers are the same object, so that they can be compared. */
export interface Lookup {
  readonly client: Client;
  readonly snapshot: Snapshot;
  readonly sidecar: SidecarScope | undefined;
  readonly serviceOf: (host: string) => MeshService | undefined;
  /** The VirtualService that owns the host for sidecars. */
  readonly ruleOf: (host: string) => ResolvedVirtualService | undefined;
  readonly policyOf: (service: MeshService) => MergedDestinationRule | undefined;
}

const mesh = "mesh";

/** Whether policies may have the proxy itself call this host. */
const isAsked = ({ mesh: { extensionProviders } }: Snapshot, host: string): boolean =>
  extensionProviders.some(({ envoyExtAuthzHttp, envoyExtAuthzGrpc }) =>
    [envoyExtAuthzHttp, envoyExtAuthzGrpc].some((asked) => asked !== undefined && authorizerHost(asked) === host),
  );

/** 0: of the client's own namespace and for it alone; 1: exported to it by name; 2: to all. */
const closeness = (rule: ResolvedVirtualService, namespace: string): number => {
  if (rule.exportTo.has("*")) return 2;
  return rule.namespace === namespace ? 0 : 1;
};

/** Who comes first owns a domain: the closer, then the older, then by name and namespace. */
export const ruleOrder =
  (namespace: string) =>
  (left: ResolvedVirtualService, right: ResolvedVirtualService): number => {
    const orderOf = (rule: ResolvedVirtualService): string =>
      `${closeness(rule, namespace)} ${rule.createdAt} ${rule.name} ${rule.namespace}`;
    return orderOf(left) < orderOf(right) ? -1 : 1;
  };

const serviceOrder =
  (namespace: string) =>
  (left: MeshService, right: MeshService): number => {
    const orderOf = (service: MeshService): string =>
      `${service.namespace === namespace ? 0 : 1} ${service.origin === "Service" ? 0 : 1} ${service.createdAt} ${service.key}`;
    return orderOf(left) < orderOf(right) ? -1 : 1;
  };

export const createLookup = (snapshot: Snapshot, client: Client): Lookup => {
  const { namespace } = client;
  const { virtualServices } = snapshot;
  const sidecar =
    client.sidecar === undefined ? undefined : scopeOf(client.sidecar, namespace, snapshot.mesh.clusterDomain);
  const seen = new Map<string, MeshService | undefined>();

  const rulesAt = (pattern: string): readonly ResolvedVirtualService[] =>
    [...(virtualServices.byHost.get(pattern) ?? [])]
      .flatMap((key) => virtualServices.resolved.get(key) ?? [])
      .filter(
        (rule) =>
          rule.gateways.includes(mesh) &&
          isExportedTo(rule.exportTo, namespace) &&
          (sidecar === undefined || seesRule(sidecar, rule.namespace, rule.hosts)),
      );

  const ruleOf: Lookup["ruleOf"] = (host) => {
    for (const pattern of [host, ...wildcardsOf(host)]) {
      const [first] = [...rulesAt(pattern)].sort(ruleOrder(namespace));
      if (first !== undefined) return first;
    }
    return undefined;
  };

  const isImplied = (host: string): boolean =>
    host === sidecar?.outboundTrafficPolicy?.egressProxy?.host ||
    isAsked(snapshot, host) ||
    [...(virtualServices.byDestination.get(host) ?? [])].some((key) => {
      const rule = virtualServices.resolved.get(key);
      return (
        rule !== undefined &&
        sidecar !== undefined &&
        rule.gateways.includes(mesh) &&
        isExportedTo(rule.exportTo, namespace) &&
        seesRule(sidecar, rule.namespace, rule.hosts)
      );
    });

  const find = (host: string): MeshService | undefined =>
    [...(snapshot.servicesOfHost.get(host) ?? [])]
      .flatMap((key) => snapshot.services.get(key) ?? [])
      .filter(({ exportTo }) => isExportedTo(exportTo, namespace))
      .flatMap((service) => (sidecar === undefined ? service : (seenService(sidecar, service, isImplied(host)) ?? [])))
      .sort(serviceOrder(namespace))[0];

  return {
    client,
    snapshot,
    sidecar,
    serviceOf: (host) => {
      if (!seen.has(host)) seen.set(host, find(host));
      return seen.get(host);
    },
    ruleOf,
    policyOf: (service) =>
      findDestinationRule(snapshot.destinationRulesOfNamespace, client, service, snapshot.mesh.rootNamespace),
  };
};
