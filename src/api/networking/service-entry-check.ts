import { error, errorIf, member, repeated, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import {
  checkExportTo,
  checkSelector,
  domainFault,
  isHttpProtocol,
  isTlsProtocol,
  isWildcard,
  portNameFault,
  protocolFault,
  protocolName,
  subnetFault,
  wildcardDomainFault,
} from "../names.js";
import type { ServiceEntry, ServiceEntryPort, ServiceEntrySpec } from "./service-entry-schema.js";
import { checkAddress, checkWorkload } from "./workload-entry.js";

const resolvesByDns = (resolution: string): boolean => resolution === "DNS" || resolution === "DNS_ROUND_ROBIN";

const checkHosts = (hosts: readonly string[], resolution: string): readonly Finding[] => [
  ...hosts.flatMap((host, index) => {
    const path = `spec.hosts[${index}]`;
    if (host === "*") return [error(path, '"*" would stand for every host; write such as "*.example.com"')];
    const fault = wildcardDomainFault(host);
    if (fault !== undefined) return [error(path, fault)];
    if (isWildcard(host) && !host.startsWith("*.") && resolution !== "DYNAMIC_DNS")
      return [
        warning(path, `${show(host)} is a wildcard within a name, which matches no TLS; write "*." and a domain`),
      ];
    return host.includes(".")
      ? []
      : [warning(path, `${show(host)} is taken as it stands, no namespace is added; write the host that clients call`)];
  }),
  ...repeated(hosts).map((index) =>
    warning(`spec.hosts[${index}]`, `${show(hosts[index])} is there twice; remove one`),
  ),
];

const checkPorts = (ports: readonly ServiceEntryPort[]): readonly Finding[] => [
  ...ports.flatMap(({ name, protocol }, index) => [
    ...errorIf(`spec.ports[${index}].name`, portNameFault(name)),
    ...errorIf(`spec.ports[${index}].protocol`, protocolFault(protocol)),
  ]),
  ...repeated(ports.map(({ name }) => name)).map((index) =>
    error(`spec.ports[${index}].name`, `${show(ports[index]!.name)} names an earlier port too; rename one`),
  ),
  ...repeated(ports.map(({ number }) => number)).map((index) =>
    error(`spec.ports[${index}].number`, `${ports[index]!.number} is an earlier port's too; remove one`),
  ),
];

const checkEndpoints = (spec: ServiceEntrySpec, resolution: string): readonly Finding[] => {
  const { endpoints = [], ports = [] } = spec;
  const names = new Set(ports.map(({ name }) => name));
  return endpoints.flatMap((endpoint, index) => {
    const path = `spec.endpoints[${index}]`;
    const isSocket = endpoint.address?.startsWith("unix://") ?? false;
    return [
      ...checkAddress(path, endpoint),
      ...checkWorkload(path, endpoint, resolution !== "STATIC"),
      ...Object.keys(endpoint.ports ?? {})
        .filter((name) => !names.has(name))
        .map((name) =>
          error(
            member(`${path}.ports`, name),
            `${show(name)} names no port of spec.ports; use one of ${show([...names])}`,
          ),
        ),
      ...(isSocket && resolvesByDns(resolution)
        ? [error(`${path}.address`, `${show(endpoint.address)}: DNS finds no socket; set resolution to STATIC`)]
        : []),
      ...(isSocket && ports.length !== 1
        ? [
            error(
              `${path}.address`,
              `${show(endpoint.address)} serves one port, and spec.ports has ${ports.length}; leave one`,
            ),
          ]
        : []),
    ];
  });
};

const checkDns = ({ hosts, endpoints = [] }: ServiceEntrySpec, resolution: string): readonly Finding[] => [
  ...(resolution === "DNS_ROUND_ROBIN" && endpoints.length > 1
    ? [error("spec.endpoints", `has ${endpoints.length} endpoints and DNS_ROUND_ROBIN uses one; set resolution to DNS`)]
    : []),
  ...(endpoints.length > 0
    ? []
    : hosts.flatMap((host, index) =>
        domainFault(host) === undefined
          ? []
          : [
              error(
                `spec.hosts[${index}]`,
                `${show(host)} cannot be resolved; name a host without wildcard, add endpoints, or set resolution to DYNAMIC_DNS`,
              ),
            ],
      )),
];

const checkDynamicDns = ({ hosts, addresses, endpoints, ports = [] }: ServiceEntrySpec): readonly Finding[] => [
  ...hosts.flatMap((host, index) =>
    isWildcard(host)
      ? []
      : [
          error(
            `spec.hosts[${index}]`,
            `${show(host)} has no wildcard, which DYNAMIC_DNS is for; set resolution to DNS`,
          ),
        ],
  ),
  ...((addresses?.length ?? 0) > 0
    ? [error("spec.addresses", `${show(addresses)}: DYNAMIC_DNS goes by the host alone; remove them`)]
    : []),
  ...((endpoints?.length ?? 0) > 0 ? [error("spec.endpoints", "DYNAMIC_DNS goes by the host alone; remove them")] : []),
  ...ports.flatMap(({ protocol }, index) =>
    ["HTTP", "HTTP2", "GRPC", "TLS", "HTTPS"].includes(protocolName(protocol))
      ? []
      : [
          error(
            `spec.ports[${index}].protocol`,
            `${show(protocol ?? "")} names no host to resolve; use HTTP, HTTP2, GRPC, TLS or HTTPS with DYNAMIC_DNS`,
          ),
        ],
  ),
];

/** Plain TCP names no host: what cannot be told apart by address or port goes to whoever comes first. */
const checkTcp = ({ hosts, addresses = [], ports = [] }: ServiceEntrySpec, resolution: string): readonly Finding[] => {
  const opaque = ports.flatMap(({ protocol }, index) =>
    isHttpProtocol(protocol) || isTlsProtocol(protocol) || protocolFault(protocol) !== undefined ? [] : [index],
  );
  const [first] = opaque;
  if (first === undefined) return [];
  if (resolution !== "NONE" && hosts.length > 1)
    return [
      error(
        `spec.ports[${first}].protocol`,
        `${show(ports[first]!.protocol ?? "")} cannot tell ${hosts.length} hosts apart; make a ServiceEntry for each host`,
      ),
    ];
  return addresses.length > 0
    ? []
    : opaque.map((index) =>
        warning(
          `spec.ports[${index}]`,
          `all TCP to port ${ports[index]!.number} that no other service claims counts as this service's; give addresses`,
        ),
      );
};

export const checkServiceEntry = ({ spec }: ServiceEntry): readonly Finding[] => {
  const { addresses = [], endpoints, exportTo, ports = [], workloadSelector } = spec;
  const resolution = spec.resolution ?? "NONE";
  const isRange = addresses.findIndex((address) => address.includes("/"));
  return [
    ...checkHosts(spec.hosts, resolution),
    ...addresses.flatMap((address, index) => errorIf(`spec.addresses[${index}]`, subnetFault(address))),
    ...(isRange >= 0 && resolution !== "NONE" && resolution !== "STATIC"
      ? [
          error(
            `spec.addresses[${isRange}]`,
            `${show(addresses[isRange])} is a range, which resolution ${resolution} does not allow; use NONE or STATIC`,
          ),
        ]
      : []),
    ...(ports.length === 0 ? [warning("spec.ports", "is empty: no traffic reaches the service; add its ports")] : []),
    ...checkPorts(ports),
    ...checkSelector("spec.workloadSelector", workloadSelector, "labels"),
    ...(workloadSelector !== undefined && endpoints !== undefined
      ? [error("spec.workloadSelector", "excludes endpoints, which are there too; remove one of them")]
      : []),
    ...(workloadSelector !== undefined && resolution === "NONE"
      ? [warning("spec.workloadSelector", "does nothing while resolution is NONE; set resolution to STATIC")]
      : []),
    ...(resolution === "NONE" && endpoints !== undefined
      ? [error("spec.endpoints", "resolution NONE uses no endpoints; set resolution to STATIC or DNS, or remove them")]
      : []),
    ...(resolution === "STATIC" && workloadSelector === undefined && (endpoints?.length ?? 0) === 0
      ? [warning("spec.resolution", '"STATIC" without endpoints or workloadSelector reaches nothing; add one of them')]
      : []),
    ...checkEndpoints(spec, resolution),
    ...(resolvesByDns(resolution) ? checkDns(spec, resolution) : []),
    ...(resolution === "DYNAMIC_DNS" ? checkDynamicDns(spec) : checkTcp(spec, resolution)),
    ...checkExportTo("spec.exportTo", exportTo, true),
  ];
};
