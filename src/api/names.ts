import { isIP, isIPv4, isIPv6 } from "node:net";
import { error, errorIf, member, repeated, show, warning } from "./findings.js";
import type { Finding } from "./kind.js";

/** Each fault below is what is wrong with a value and its cure, in one line that begins with the value. */
type Fault = string | undefined;

const dnsLabel = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/i;

export const isIpAddress = (text: string): boolean => isIP(text) !== 0;

/** A full DNS name, without wildcard; a trailing dot is allowed. */
export const domainFault = (host: string): Fault => {
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  if (name === "") return `${show(host)} is no DNS name; write one, such as "api.example.com"`;
  if (name.length > 253) return `${show(host)} is longer than 253 characters; shorten it`;
  const labels = name.split(".");
  const wrong = labels.find((label) => !dnsLabel.test(label));
  if (wrong !== undefined)
    return `${show(host)} is no DNS name because of its part ${show(wrong)}; use letters, digits and dashes`;
  return /^\d+$/.test(labels.at(-1)!)
    ? `${show(host)} ends in a number, which no DNS name does; write a name`
    : undefined;
};

/** A DNS name whose first part may be or begin with `*`; `*` alone too. */
export const wildcardDomainFault = (host: string): Fault => {
  if (host === "*") return undefined;
  if (!host.startsWith("*"))
    return host.includes("*") ? `${show(host)}: a wildcard may only come first` : domainFault(host);
  return host.startsWith("*.") ? domainFault(host.slice(2)) : domainFault(host.slice(1).replace(/^[-.]*/, "x"));
};

export const isWildcard = (host: string): boolean => host.startsWith("*");

/** An IP address, or a range of them in CIDR form. */
export const subnetFault = (text: string): Fault => {
  const [address = "", length, ...rest] = text.split("/");
  const longest = isIPv4(address) ? 32 : isIPv6(address) ? 128 : undefined;
  const valid =
    longest !== undefined &&
    rest.length === 0 &&
    (length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= longest));
  return valid ? undefined : `${show(text)} is neither an IP address nor a CIDR range; write such as "10.1.2.0/24"`;
};

/** The path of a Unix domain socket, without its `unix://`; `@` begins an abstract name. */
export const unixPathFault = (path: string): Fault => {
  if (!path.startsWith("/") && !path.startsWith("@"))
    return `${show(path)} is no absolute path of a socket; begin it with "/", or with "@" for an abstract name`;
  if (path.endsWith("/")) return `${show(path)} names a directory; write the socket's path`;
  return path.length > 107 ? `${show(path)} is longer than the 107 bytes a socket's path may have` : undefined;
};

export const portFault = (port: number): Fault =>
  Number.isInteger(port) && port >= 1 && port <= 65535
    ? undefined
    : `${show(port)} is no port number; write one from 1 to 65535`;

/** A name of a port or a namespace: one DNS label. */
export const labelNameFault = (name: string): Fault =>
  /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)
    ? undefined
    : `${show(name)} is no such name; use at most 63 lower-case letters, digits and dashes`;

/** As `labelNameFault`, with upper case, which Istio lets ports have. */
export const portNameFault = (name: string): Fault =>
  dnsLabel.test(name) ? undefined : `${show(name)} is no name of a port; use at most 63 letters, digits and dashes`;

const protocols = [
  "HTTP",
  "HTTPS",
  "HTTP2",
  "GRPC",
  "GRPC-WEB",
  "TCP",
  "TLS",
  "MONGO",
  "MYSQL",
  "REDIS",
  "UDP",
] as const;

/** Upper case of a declared protocol, "" for none. */
export const protocolName = (protocol: string | undefined): string => protocol?.toUpperCase() ?? "";

export const protocolFault = (protocol: string | undefined): Fault =>
  protocol === undefined || protocol === "" || (protocols as readonly string[]).includes(protocol.toUpperCase())
    ? undefined
    : `${show(protocol)} is no protocol that the mesh knows; use one of ${protocols.join(", ")}`;

export const isHttpProtocol = (protocol: string | undefined): boolean =>
  ["HTTP", "HTTP2", "GRPC", "GRPC-WEB"].includes(protocolName(protocol));
export const isTlsProtocol = (protocol: string | undefined): boolean =>
  ["HTTPS", "TLS"].includes(protocolName(protocol));

const labelValue = /^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/;
const labelKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/;

/** Labels as Kubernetes has them; `*` is no wildcard in a selector. */
export const checkLabels = (path: string, labels: Readonly<Record<string, string>> | undefined): readonly Finding[] =>
  Object.entries(labels ?? {}).flatMap(([key, value]) => {
    if (!labelKey.test(key)) return [error(member(path, key), `the key ${show(key)} is no label's; correct it`)];
    return labelValue.test(value)
      ? []
      : [error(member(path, key), `${show(value)} is no label's value; use at most 63 letters, digits, "-", "_", "."`)];
  });

/**
 * A selector's labels, which are under `field` of `selector`. One that is there and chooses nothing in particular is
 * legal and seldom meant.
 */
export const checkSelector = <Field extends string>(
  path: string,
  selector: { readonly [Name in Field]?: Readonly<Record<string, string>> } | undefined,
  field: Field,
): readonly Finding[] => {
  if (selector === undefined) return [];
  const labels = selector[field];
  return Object.keys(labels ?? {}).length === 0
    ? [warning(path, "{} selects every workload of the namespace; name labels, or leave the selector out")]
    : checkLabels(`${path}.${field}`, labels);
};

/** Namespaces, `.` for the own one, `*` for all, `~` for none (where that is allowed). */
export const checkExportTo = (
  path: string,
  exportTo: readonly string[] | undefined,
  allowsNone = false,
): readonly Finding[] => {
  const values = exportTo ?? [];
  const alone = values.find((value) => value === "*" || value === "~");
  return [
    ...values.flatMap((value, index) => {
      if (value === "." || value === "*" || (value === "~" && allowsNone)) return [];
      return errorIf(`${path}[${index}]`, labelNameFault(value));
    }),
    ...(alone !== undefined && values.length > 1
      ? [error(path, `${show(values)}: ${show(alone)} stands alone; remove it or all others`)]
      : []),
    ...repeated(values).map((index) =>
      warning(`${path}[${index}]`, `${show(values[index])} is there twice; remove one`),
    ),
  ];
};
