import type { Service } from "../../api/kubernetes.js";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { ServiceEntry } from "../../api/networking/service-entry.js";
import { byAge } from "../age.js";
import { isWithin } from "../host.js";
import { isExportedTo, wildcardsOf } from "../hosts.js";
import { meshServiceOf } from "../kubernetes-service.js";
import type { MeshService } from "../service.js";
import { entryOfService, servicesOfEntry } from "../service-entry.js";
import { push } from "./named.js";

/** Full names are kept apart from wildcards. */
export interface Hosts {
  readonly exact: ReadonlyMap<string, readonly MeshService[]>;
  readonly wildcards: ReadonlyMap<string, readonly MeshService[]>;
  /** Full names by their first label. */
  readonly byLabel: ReadonlyMap<string, readonly MeshService[]>;
}

/** The hosts of Services and ServiceEntries. */
export const meshServicesOf = (
  services: Iterable<Service>,
  serviceEntries: Iterable<ServiceEntry>,
  mesh: MeshConfig,
): readonly MeshService[] => [
  ...[...services].map((service) => meshServiceOf(service, mesh)),
  ...[...serviceEntries].flatMap((entry) => servicesOfEntry(entry, mesh)),
];

/** The resource that defines a host, as `Service prod/reviews`. */
export const resourceOf = (service: MeshService): string => `${service.origin} ${entryOfService(service)}`;

/** As a resource, for the order of age. */
export const named = ({ name, namespace, createdAt }: MeshService) => ({
  metadata: { name, namespace, ...(createdAt === "" ? {} : { creationTimestamp: createdAt }) },
});

export const indexHosts = (services: Iterable<MeshService>): Hosts => {
  const exact = new Map<string, MeshService[]>();
  const wildcards = new Map<string, MeshService[]>();
  const byLabel = new Map<string, MeshService[]>();
  for (const service of services) {
    if (service.host.startsWith("*")) push(wildcards, service.host, service);
    else {
      push(exact, service.host, service);
      push(byLabel, service.host.split(".", 1)[0] ?? "", service);
    }
  }
  for (const same of [...exact.values(), ...wildcards.values()])
    if (same.length > 1) same.sort((left, right) => byAge(named(left), named(right)));
  return { exact, wildcards, byLabel };
};

/** All that define a host: those of its full name, else those of the longest wildcard. */
export const definitionsOf = (hosts: Hosts, host: string): readonly MeshService[] => {
  const exact = hosts.exact.get(host);
  if (exact !== undefined) return exact;
  for (const wildcard of wildcardsOf(host)) {
    const found = hosts.wildcards.get(wildcard);
    if (found !== undefined) return found;
  }
  return [];
};

/** The definition that clients of a namespace see: their own namespace's, else the oldest exported to them. */
export const seenFrom = (definitions: readonly MeshService[], namespace: string): MeshService | undefined =>
  definitions.find((service) => service.namespace === namespace && isExportedTo(service.exportTo, namespace)) ??
  definitions.find((service) => isExportedTo(service.exportTo, namespace));

/** Whether any host lies under a wildcard such as `*.prod.svc.cluster.local`, or `*`. */
export const anyUnder = (hosts: Hosts, wildcard: string): boolean => {
  for (const host of hosts.exact.keys()) if (isWithin(host, wildcard)) return true;
  for (const known of hosts.wildcards.keys()) if (isWithin(known, wildcard) || isWithin(wildcard, known)) return true;
  return false;
};

/** The full name that a dotted partial one was meant to be, if that exists. */
export const completionOf = (hosts: Hosts, host: string, clusterDomain: string): string | undefined =>
  [`${host}.svc.${clusterDomain}`, `${host}.${clusterDomain}`].find((full) => hosts.exact.has(full));
