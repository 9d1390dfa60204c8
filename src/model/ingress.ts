import type { ConnectionPoolSettings } from "../api/networking/connection-pool.js";
import type { Sidecar } from "../api/networking/sidecar.js";
import type { Protocol } from "./protocol.js";
import { declaredProtocol } from "./service-entry.js";

/** One port that a workload serves because its Sidecar says so. */
export interface IngressPort {
  readonly port: number;
  readonly protocol: Protocol;
  /** Where the proxy listens itself; undefined if traffic is redirected to it. */
  readonly bind: string | undefined;
  /** Where the application is: `unix://` and a path, or an address and port; undefined for where the caller meant. */
  readonly endpoint: string | { readonly address: string; readonly port: number } | undefined;
  readonly connectionPool: ConnectionPoolSettings | undefined;
}

const wildcards: ReadonlySet<string> = new Set(["", "0.0.0.0", "::"]);

const endpointOf = (text: string, podAddress: string): IngressPort["endpoint"] => {
  if (text.startsWith("unix://")) return text;
  const at = text.lastIndexOf(":");
  const host = text.slice(0, at).replace(/^\[|\]$/g, "");
  return { address: wildcards.has(host) ? podAddress : host, port: Number(text.slice(at + 1)) };
};

/** A Sidecar's inbound listeners, which replace the ports of Services; undefined if it has none. */
export const ingressOf = (
  sidecar: Sidecar | undefined,
  podAddress: string,
  isRedirected: boolean,
): readonly IngressPort[] | undefined => {
  const ingress = sidecar?.spec.ingress ?? [];
  if (ingress.length === 0) return undefined;
  return ingress.map(({ port, bind, captureMode, defaultEndpoint, connectionPool }) => {
    const number = port.number ?? 0;
    const isBound = captureMode === "NONE" || !isRedirected;
    const endpoint = defaultEndpoint || (isBound ? `127.0.0.1:${number}` : "");
    return {
      port: number,
      protocol: declaredProtocol(port.protocol),
      bind: isBound ? bind || podAddress : undefined,
      endpoint: endpoint === "" ? undefined : endpointOf(endpoint, podAddress),
      connectionPool: connectionPool ?? sidecar?.spec.inboundConnectionPool,
    };
  });
};
