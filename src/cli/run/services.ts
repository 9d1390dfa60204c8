import { isIP } from "node:net";
import type { EndpointSlice, ObjectEvent, Pod, Service } from "../../api/kubernetes.js";
import type { IpFamily } from "./network.js";

export type ServicePort = NonNullable<NonNullable<Service["spec"]>["ports"]>[number];

export const familyOf = (address: string): IpFamily => (isIP(address) === 6 ? "IPv6" : "IPv4");

/** A pod as far as its Services care. */
export interface PodState {
  readonly pod: Pod;
  readonly isReady: boolean;
}

export const isSelected = (service: Service, pod: Pod): boolean => {
  const selector = Object.entries(service.spec?.selector ?? {});
  return (
    selector.length > 0 &&
    service.metadata?.namespace === pod.metadata?.namespace &&
    selector.every(([label, value]) => pod.metadata?.labels?.[label] === value)
  );
};

export const targetOf = (port: ServicePort, pod: Pod): number | undefined => {
  const target = (port.targetPort as number | string | undefined) ?? port.port;
  if (typeof target === "number" || /^\d+$/.test(target)) return Number(target);
  return (pod.spec?.containers ?? []).flatMap(({ ports }) => ports ?? []).find(({ name }) => name === target)
    ?.containerPort;
};

const portsOf = (service: Service, pod: Pod): readonly object[] =>
  (service.spec?.ports ?? []).flatMap((port) => {
    const number = targetOf(port, pod);
    const { name = "", protocol = "TCP", appProtocol } = port;
    return number === undefined ? [] : [{ name, port: number, protocol, ...(appProtocol && { appProtocol }) }];
  });

/** What the EndpointSlice controller makes: for each family and set of port numbers one slice. */
export const slicesOf = (service: Service, pods: readonly PodState[]): readonly EndpointSlice[] => {
  const { name = "", namespace = "default" } = service.metadata ?? {};
  const groups = new Map<string, object[]>();
  for (const { pod, isReady } of pods.filter(({ pod }) => isSelected(service, pod))) {
    const isEnding = pod.metadata?.deletionTimestamp !== undefined;
    for (const { ip } of pod.status?.podIPs ?? []) {
      const key = JSON.stringify({ addressType: familyOf(ip), ports: portsOf(service, pod) });
      const endpoint = {
        addresses: [ip],
        conditions: {
          ready: (isReady && !isEnding) || service.spec?.publishNotReadyAddresses === true,
          serving: isReady,
          terminating: isEnding,
        },
        nodeName: pod.spec?.nodeName,
        targetRef: { kind: "Pod", name: pod.metadata?.name ?? "", namespace, uid: pod.metadata?.uid },
        ...(pod.spec?.subdomain === name && { hostname: pod.spec?.hostname ?? pod.metadata?.name }),
      };
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [endpoint]);
      else group.push(endpoint);
    }
  }
  return [...groups].map(([key, endpoints], index) => ({
    metadata: { name: `${name}-${index}`, namespace, labels: { "kubernetes.io/service-name": name } },
    ...(JSON.parse(key) as Pick<EndpointSlice, "addressType" | "ports">),
    endpoints: endpoints as unknown as EndpointSlice["endpoints"] & object,
  }));
};

const isVirtual = (address: string): boolean => isIP(address) !== 0;

/** kube-proxy's part, done where the connection begins: virtual addresses become those of ready endpoints. */
export const serviceRules = (services: readonly Service[], slices: readonly EndpointSlice[]): string => {
  const translations: string[] = [];
  const refusals: string[] = [];
  for (const { metadata, spec } of services) {
    const own = slices.filter(
      (slice) =>
        slice.metadata?.namespace === metadata?.namespace &&
        slice.metadata?.labels?.["kubernetes.io/service-name"] === metadata?.name,
    );
    for (const address of (spec?.clusterIPs ?? []).filter(isVirtual))
      for (const { name = "", port, protocol = "TCP" } of spec?.ports ?? []) {
        const family = familyOf(address);
        const ip = family === "IPv6" ? "ip6" : "ip";
        const targets = own
          .filter(({ addressType }) => addressType === family)
          .flatMap(({ ports, endpoints }) => {
            const number = (ports ?? []).find((candidate) => (candidate.name ?? "") === name)?.port;
            return number === undefined
              ? []
              : (endpoints ?? [])
                  .filter(({ conditions }) => conditions?.ready !== false)
                  .flatMap(({ addresses }) => addresses.map((target) => `${target} . ${number}`));
          });
        const match = `${ip} daddr ${address} ${protocol.toLowerCase()} dport ${port}`;
        if (targets.length === 0) refusals.push(`${match} reject`);
        else
          translations.push(
            `${match} dnat ${ip} to numgen random mod ${targets.length} map { ${targets.map((target, index) => `${index} : ${target}`).join(", ")} }`,
          );
      }
  }
  const chain = (name: string, hook: string, rules: readonly string[]): string =>
    `chain ${name} { type ${hook}; ${rules.map((rule) => `${rule}; `).join("")}}`;
  return [
    "add table inet services",
    "delete table inet services",
    "table inet services {",
    chain("translate", "nat hook output priority 0", translations),
    chain("refuse", "filter hook output priority 0", refusals),
    "}",
    "",
  ].join("\n");
};

type HostLine = readonly [name: string, address: string];

/** Any address will do for a host of a ServiceEntry that has none, as long as it is routable: TEST-NET-2. */
const anyAddress = "198.51.100.1";

const entryHosts = ({ kind, object }: { readonly kind: string; readonly object: unknown }): readonly HostLine[] => {
  if (kind !== "ServiceEntry") return [];
  const { spec } = object as { spec?: { hosts?: readonly string[]; addresses?: readonly string[] } };
  const addresses = (spec?.addresses ?? []).filter((address) => isIP(address) !== 0);
  return (spec?.hosts ?? [])
    .filter((host) => !host.startsWith("*"))
    .flatMap((host) => (addresses.length > 0 ? addresses : [anyAddress]).map((address): HostLine => [host, address]));
};

/** What the cluster's DNS would answer in this namespace; ServiceEntry hosts resolve to their addresses. */
export const hostsOf = (
  objects: readonly ObjectEvent[],
  slices: readonly EndpointSlice[],
  namespace: string,
  clusterDomain: string,
): readonly HostLine[] => {
  const services = objects.flatMap(({ kind, object }) => (kind === "Service" && object !== undefined ? [object] : []));
  const entries = objects.flatMap(entryHosts);
  const fullName = ({ metadata }: Service): string => `${metadata?.name}.${metadata?.namespace}.svc.${clusterDomain}`;
  const namesOf = (service: Service, prefix = ""): readonly string[] => {
    const { name, namespace: home } = service.metadata ?? {};
    const names = [`${name}.${home}`, `${name}.${home}.svc`, fullName(service)];
    return [...(home === namespace ? [name ?? "", ...names] : names)].map((host) => prefix + host);
  };
  const slicesFor = ({ metadata }: Service): readonly EndpointSlice[] =>
    slices.filter(
      (slice) =>
        slice.metadata?.namespace === metadata?.namespace &&
        slice.metadata?.labels?.["kubernetes.io/service-name"] === metadata?.name,
    );
  const addressesOf = (service: Service, depth = 0): readonly string[] => {
    const { spec } = service;
    if (spec?.type === "ExternalName") {
      const target = services.find((candidate) => fullName(candidate) === spec.externalName?.replace(/\.$/, ""));
      return target === undefined || depth > 3 ? [] : addressesOf(target, depth + 1);
    }
    const virtual = (spec?.clusterIPs ?? []).filter(isVirtual);
    if (virtual.length > 0) return virtual;
    return slicesFor(service).flatMap(({ endpoints }) =>
      (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false).flatMap(({ addresses }) => addresses),
    );
  };
  const ofServices = services.flatMap((service): readonly HostLine[] => {
    const lines = namesOf(service).flatMap((host) => addressesOf(service).map((address): HostLine => [host, address]));
    const perPod = slicesFor(service).flatMap(({ endpoints }) =>
      (endpoints ?? []).flatMap(({ hostname, addresses }) =>
        hostname === undefined
          ? []
          : namesOf(service, `${hostname}.`).flatMap((host) => addresses.map((ip): HostLine => [host, ip])),
      ),
    );
    return [...lines, ...perPod];
  });
  return [...ofServices, ...entries];
};
