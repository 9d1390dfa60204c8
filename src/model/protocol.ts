/** How a port's traffic is handled: HTTP/1.1, HTTP/2 (gRPC too), opaque TCP, or told from the first bytes. */
export type Protocol = "http" | "http2" | "tcp" | "auto";

const byName: ReadonlyMap<string, Protocol> = new Map([
  ["http", "http"],
  ["http2", "http2"],
  ["grpc", "http2"],
  ["grpc-web", "http"],
  ["tcp", "tcp"],
  ["tls", "tcp"],
  ["https", "tcp"],
  ["mongo", "tcp"],
  ["mysql", "tcp"],
  ["redis", "tcp"],
]);

const byApplicationProtocol: ReadonlyMap<string, Protocol> = new Map([
  ...byName,
  ["kubernetes.io/h2c", "http2"],
  ["kubernetes.io/ws", "http"],
  ["kubernetes.io/wss", "tcp"],
]);

/** Servers of these protocols speak first, so that waiting for the client's first bytes would hang. */
const serverFirstPorts: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/** Istio's order: appProtocol, then the port name's prefix, then well-known ports, then detection. */
export const protocolOf = (port: {
  readonly appProtocol?: string | undefined;
  readonly name?: string | undefined;
  readonly port: number;
}): Protocol => {
  const declared = byApplicationProtocol.get(port.appProtocol?.toLowerCase() ?? "");
  if (declared !== undefined) return declared;
  const name = port.name?.toLowerCase() ?? "";
  const named = name.startsWith("grpc-web") ? "http" : byName.get(name.split("-")[0] ?? "");
  return named ?? (serverFirstPorts.has(port.port) ? "tcp" : "auto");
};

/** TLS of the application itself: the proxy can route it by SNI and no more. */
export const isTlsPort = ({
  appProtocol,
  name,
}: {
  readonly appProtocol?: string | undefined;
  readonly name?: string | undefined;
}): boolean => {
  const declared = appProtocol?.toLowerCase() ?? "";
  if (byApplicationProtocol.has(declared))
    return declared === "https" || declared === "tls" || declared.endsWith("/wss");
  return /^(https|tls)(-|$)/.test(name?.toLowerCase() ?? "");
};
