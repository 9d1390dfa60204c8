import { isIP } from "node:net";
import type { Service } from "../../api/kubernetes.js";
import type { ServiceEntry } from "../../api/networking/service-entry.js";
import { isTlsPort, type Protocol, protocolOf } from "../protocol.js";
import { byAge, exportedTo, isSeenIn, keyOf, type Named, nameOf, namespaceOf, push } from "./named.js";

export interface HostPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly isTls: boolean;
}

/** A host that clients may name, of a Service or of a ServiceEntry. */
export interface HostEntry {
  readonly host: string;
  readonly origin: "Service" | "ServiceEntry";
  /** `namespace/name` of its resource. */
  readonly key: string;
  readonly namespace: string;
  readonly ports: readonly HostPort[];
  readonly exportTo: ReadonlySet<string>;
  readonly isExternal: boolean;
  readonly object: Named;
}

/** Full names are kept apart from wildcards, whose key is what follows the `*`. */
export interface Hosts {
  readonly exact: ReadonlyMap<string, readonly HostEntry[]>;
  readonly wildcards: ReadonlyMap<string, readonly HostEntry[]>;
  /** Full names by their first label. */
  readonly byLabel: ReadonlyMap<string, readonly HostEntry[]>;
}

/** Istio's rule: a name without a dot is completed, anything else stays. Lower case. */
export const qualify = (host: string, namespace: string, clusterDomain: string): string => {
  const name = host.toLowerCase();
  return name === "" || name.includes(".") || name.startsWith("*") || isIP(name) !== 0
    ? name
    : `${name}.${namespace}.svc.${clusterDomain}`;
};

const entryOfService = (service: Service, clusterDomain: string): HostEntry => {
  const namespace = namespaceOf(service);
  const exportTo = service.metadata?.annotations?.["networking.istio.io/exportTo"];
  return {
    host: `${nameOf(service)}.${namespace}.svc.${clusterDomain}`,
    origin: "Service",
    key: keyOf(service),
    namespace,
    ports: (service.spec?.ports ?? [])
      .filter(({ protocol }) => protocol === undefined || protocol === "TCP")
      .map((port) => ({
        name: port.name ?? "",
        port: port.port,
        protocol: protocolOf(port),
        isTls: isTlsPort(port),
      })),
    exportTo: exportedTo(
      exportTo?.split(",").map((target) => target.trim()),
      namespace,
    ),
    isExternal: service.spec?.type === "ExternalName",
    object: service,
  };
};

const entriesOfServiceEntry = (entry: ServiceEntry): readonly HostEntry[] => {
  const namespace = namespaceOf(entry);
  const ports = (entry.spec.ports ?? []).map(({ name, number, protocol }) => {
    const declared = { appProtocol: protocol?.toLowerCase(), name, port: number };
    return { name, port: number, protocol: protocolOf(declared), isTls: isTlsPort(declared) };
  });
  return entry.spec.hosts.map((host) => ({
    host: host.toLowerCase(),
    origin: "ServiceEntry",
    key: keyOf(entry),
    namespace,
    ports,
    exportTo: exportedTo(entry.spec.exportTo, namespace),
    isExternal: entry.spec.location !== "MESH_INTERNAL",
    object: entry,
  }));
};

export const indexHosts = (
  services: Iterable<Service>,
  serviceEntries: Iterable<ServiceEntry>,
  clusterDomain: string,
): Hosts => {
  const exact = new Map<string, HostEntry[]>();
  const wildcards = new Map<string, HostEntry[]>();
  const byLabel = new Map<string, HostEntry[]>();
  const add = (entry: HostEntry): void => {
    if (entry.host.startsWith("*")) push(wildcards, entry.host.slice(1), entry);
    else {
      push(exact, entry.host, entry);
      push(byLabel, entry.host.split(".", 1)[0] ?? "", entry);
    }
  };
  for (const service of services) add(entryOfService(service, clusterDomain));
  for (const entry of serviceEntries) for (const host of entriesOfServiceEntry(entry)) add(host);
  for (const entries of [...exact.values(), ...wildcards.values()])
    if (entries.length > 1) entries.sort((left, right) => byAge(left.object, right.object));
  return { exact, wildcards, byLabel };
};

/** The suffixes that a leading wildcard may stand before, longest first. */
export function* suffixesOf(host: string): Generator<string> {
  for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) yield host.slice(dot);
  yield "";
}

/** All that define a host: those of its full name, else those of the longest wildcard. */
export const entriesOf = (hosts: Hosts, host: string): readonly HostEntry[] => {
  const exact = hosts.exact.get(host);
  if (exact !== undefined) return exact;
  for (const suffix of suffixesOf(host)) {
    const entries = hosts.wildcards.get(suffix);
    if (entries !== undefined) return entries;
  }
  return [];
};

/** The definition that clients of a namespace see: their own namespace's, else the oldest exported to them. */
export const seenFrom = (entries: readonly HostEntry[], namespace: string): HostEntry | undefined =>
  entries.find((entry) => entry.namespace === namespace && isSeenIn(entry.exportTo, namespace)) ??
  entries.find((entry) => isSeenIn(entry.exportTo, namespace));

/** Whether any host lies under a wildcard such as `*.prod.svc.cluster.local`, or `*`. */
export const anyUnder = (hosts: Hosts, wildcard: string): boolean => {
  const suffix = wildcard.slice(1);
  if (suffix === "") return hosts.exact.size + hosts.wildcards.size > 0;
  for (const host of hosts.exact.keys()) if (host.endsWith(suffix)) return true;
  for (const known of hosts.wildcards.keys()) if (known.endsWith(suffix) || suffix.endsWith(known)) return true;
  return false;
};

/** The full name that a dotted partial one was meant to be, if that exists. */
export const completionOf = (hosts: Hosts, host: string, clusterDomain: string): string | undefined =>
  [`${host}.svc.${clusterDomain}`, `${host}.${clusterDomain}`].find((full) => hosts.exact.has(full));
