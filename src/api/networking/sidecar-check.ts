import { error, errorIf, repeated, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import {
  checkSelector,
  domainFault,
  isHttpProtocol,
  isIpAddress,
  isTlsProtocol,
  labelNameFault,
  portFault,
  portNameFault,
  protocolFault,
  unixPathFault,
  wildcardDomainFault,
} from "../names.js";
import { checkConnectionPool } from "./connection-pool.js";
import { checkSidecarTls } from "./server-tls.js";
import type {
  Sidecar,
  SidecarEgressListener,
  SidecarIngressListener,
  SidecarPort,
  SidecarSpec,
} from "./sidecar-schema.js";

const socketPrefix = "unix://";

const bindFault = (bind: string): string | undefined =>
  isIpAddress(bind) ? undefined : `${show(bind)} is no IP address; give one, or leave it out`;

const checkPort = (
  path: string,
  { name, protocol, targetPort }: SidecarPort,
  isProtocol: (protocol: string) => boolean = () => false,
): readonly Finding[] => [
  ...(name === undefined || name === "" ? [] : errorIf(`${path}.name`, portNameFault(name))),
  ...(isProtocol(protocol ?? "") ? [] : errorIf(`${path}.protocol`, protocolFault(protocol))),
  ...(protocol === undefined || protocol === ""
    ? [warning(`${path}.protocol`, "is missing; it is told from the first bytes: name it")]
    : []),
  ...((targetPort ?? 0) > 0
    ? [error(`${path}.targetPort`, `${targetPort} has no effect in a Sidecar; remove it`)]
    : []),
];

const ownAddresses = new Set(["", "127.0.0.1", "0.0.0.0", "::1", "::"]);

/** All of 127.0.0.0/8 is the workload's own, where Istio takes one address of it. */
const isOwn = (address: string): boolean =>
  ownAddresses.has(address) || (address.startsWith("127.") && isIpAddress(address));

const endpointFault = (endpoint: string): string | undefined => {
  if (endpoint.startsWith(socketPrefix)) return unixPathFault(endpoint.slice(socketPrefix.length));
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(endpoint) ?? [];
  if (port === undefined || !isOwn(bracketed ?? plain ?? ""))
    return `${show(endpoint)} is no endpoint of the workload; write 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix:///path`;
  return portFault(Number(port));
};

const checkIngress = (listener: SidecarIngressListener, path: string): readonly Finding[] => {
  const { port, bind = "", defaultEndpoint = "", tls, connectionPool } = listener;
  return [
    ...checkPort(`${path}.port`, port),
    ...errorIf(`${path}.port.number`, portFault(port.number ?? 0)),
    ...(bind === "" ? [] : errorIf(`${path}.bind`, bindFault(bind))),
    ...(defaultEndpoint === "" ? [] : errorIf(`${path}.defaultEndpoint`, endpointFault(defaultEndpoint))),
    ...(tls === undefined ? [] : checkSidecarTls(`${path}.tls`, tls)),
    ...(tls !== undefined && !isTlsProtocol(port.protocol)
      ? [
          error(
            `${path}.port.protocol`,
            `${show(port.protocol ?? "")} is not TLS, as the listener's tls needs; use HTTPS or TLS`,
          ),
        ]
      : []),
    ...checkConnectionPool(`${path}.connectionPool`, connectionPool),
    ...(connectionPool?.http !== undefined && !isHttpProtocol(port.protocol)
      ? [warning(`${path}.connectionPool.http`, "does nothing on a port that is not HTTP; set port.protocol to HTTP")]
      : []),
  ];
};

/** A listener that clients use as their HTTP proxy. */
const isHttpProxy = (protocol: string): boolean => protocol.toUpperCase() === "HTTP_PROXY";

/** `namespace/host`; with `~` before the namespace it takes hosts away, and `~` alone stands for every namespace. */
const egressHostFault = (text: string): string | undefined => {
  const slash = text.indexOf("/");
  if (slash < 0)
    return `${show(text)} has no namespace; write such as "./${text.slice(0, 40)}" or "*/${text.slice(0, 40)}"`;
  const namespace = text.slice(0, slash).replace(/^~/, "");
  const host = text.slice(slash + 1);
  if (namespace === "" && !text.startsWith("~")) return `${show(text)} has an empty namespace; write "." for this one`;
  if (namespace !== "" && namespace !== "*" && namespace !== "." && labelNameFault(namespace) !== undefined)
    return `${show(text)}: ${show(namespace)} is no namespace; write a name, "." for this one or "*" for all`;
  const fault = wildcardDomainFault(host);
  return fault === undefined ? undefined : `${show(text)}: ${fault}`;
};

const checkHosts = (hosts: readonly string[], path: string): readonly Finding[] => [
  ...hosts.flatMap((host, index) => errorIf(`${path}.hosts[${index}]`, egressHostFault(host))),
  ...repeated(hosts).map((index) =>
    warning(`${path}.hosts[${index}]`, `${show(hosts[index])} is there twice; remove one`),
  ),
  ...(hosts.includes("*/*") && hosts.some((host) => host !== "*/*" && !host.startsWith("~"))
    ? [warning(`${path}.hosts`, `${show(hosts)}: "*/*" stands for every host already; remove it or the others`)]
    : []),
];

const checkEgress = (listener: SidecarEgressListener, path: string): readonly Finding[] => {
  const { port, bind = "", captureMode = "DEFAULT", hosts } = listener;
  const isSocket = bind.startsWith(socketPrefix);
  if (port === undefined)
    return [
      ...(bind === "" ? [] : [error(`${path}.port`, `is missing, and bind ${show(bind)} needs it; add it`)]),
      ...checkHosts(hosts, path),
    ];
  const number = port.number ?? 0;
  return [
    ...checkPort(`${path}.port`, port, isHttpProxy),
    ...(number === 0 && !isSocket
      ? [error(`${path}.port.number`, "0 is for Unix domain sockets only; give a port, or set bind to unix:///path")]
      : []),
    ...(number !== 0 && isSocket
      ? [error(`${path}.port.number`, `${number}: a Unix domain socket has no port; write 0`)]
      : []),
    ...(isSocket ? errorIf(`${path}.bind`, unixPathFault(bind.slice(socketPrefix.length))) : []),
    ...(bind !== "" && !isSocket ? errorIf(`${path}.bind`, bindFault(bind)) : []),
    ...(isSocket && captureMode === "IPTABLES"
      ? [error(`${path}.captureMode`, '"IPTABLES" cannot redirect to a socket; use DEFAULT or NONE')]
      : []),
    ...checkHosts(hosts, path),
  ];
};

/** Two listeners cannot have the same port or socket, and only the last may take whatever port is left. */
const checkListeners = ({ ingress = [], egress = [] }: SidecarSpec): readonly Finding[] => {
  const places = egress.map(({ port, bind }) => (port === undefined ? undefined : port.number || bind));
  return [
    ...repeated(ingress.map(({ port }) => port.number)).map((index) =>
      error(
        `spec.ingress[${index}].port.number`,
        `${ingress[index]!.port.number} is an earlier listener's too; change one`,
      ),
    ),
    ...repeated(places)
      .filter((index) => places[index] !== undefined)
      .map((index) =>
        error(`spec.egress[${index}].port`, `${show(places[index])} is an earlier listener's too; change one`),
      ),
    ...egress.flatMap(({ port }, index) =>
      port === undefined && index < egress.length - 1
        ? [
            error(
              `spec.egress[${index}].port`,
              "is missing, and only the last listener may be without; add it or move it last",
            ),
          ]
        : [],
    ),
  ];
};

const checkOutbound = ({ outboundTrafficPolicy: policy }: SidecarSpec): readonly Finding[] => {
  const proxy = policy?.egressProxy;
  if (proxy === undefined) return [];
  const path = "spec.outboundTrafficPolicy.egressProxy";
  return [
    // Istio's enumeration has REGISTRY_ONLY first: a mode that is left out next to other fields means that.
    ...(policy?.mode === "ALLOW_ANY"
      ? []
      : [error(path, `goes with mode ALLOW_ANY, not ${policy?.mode ?? "REGISTRY_ONLY"}; set the mode`)]),
    ...errorIf(`${path}.host`, domainFault(proxy.host)),
    ...(proxy.port?.number === undefined ? [error(`${path}.port.number`, "is missing; give the service's port")] : []),
  ];
};

export const checkSidecar = ({ spec }: Sidecar): readonly Finding[] => {
  const { workloadSelector, ingress = [], egress = [], inboundConnectionPool, outboundTrafficPolicy } = spec;
  const sets =
    ingress.length + egress.length > 0 || inboundConnectionPool !== undefined || outboundTrafficPolicy !== undefined;
  return [
    ...checkSelector("spec.workloadSelector", workloadSelector, "labels"),
    ...(sets
      ? []
      : [error("spec", "sets nothing; give egress, ingress, inboundConnectionPool or outboundTrafficPolicy")]),
    ...ingress.flatMap((listener, index) => checkIngress(listener, `spec.ingress[${index}]`)),
    ...egress.flatMap((listener, index) => checkEgress(listener, `spec.egress[${index}]`)),
    ...checkListeners(spec),
    ...checkConnectionPool("spec.inboundConnectionPool", inboundConnectionPool),
    ...checkOutbound(spec),
  ];
};
