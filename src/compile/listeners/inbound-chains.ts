import type { MessageInitShape } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { MtlsMode } from "../../model/peer-authentication.js";
import type { Protocol } from "../../model/protocol.js";
import type {
  Filter,
  FilterChain,
  FilterChainMatchSchema,
} from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { RouteConfiguration } from "../../proto/envoy/config/route/v3/route_pb.js";
import { blackHoleCluster, inboundClusterName, inboundPassthroughCluster } from "../clusters/names.js";
import { httpConnectionManager } from "../http.js";
import { plaintextRequests } from "../plaintext-callers.js";
import type { NetworkPolicies } from "../policy/enforcement.js";
import { inboundRoutes, passthroughRoutes } from "../routes/inbound.js";
import type { Security } from "../telemetry/labels.js";
import type { Common, Told } from "../telemetry/logs.js";
import { peerFilter } from "../telemetry/peer.js";
import { meshHttpAlpn, meshTcpAlpn, serverTls } from "../tls.js";
import { chain, plainHttp } from "./chains.js";
import { plaintextTcpProxy, tcpProxy } from "./tcp-proxy.js";

/** One port that the pod serves, by Services or by its Sidecar. */
export interface ServedPort {
  readonly port: number;
  readonly protocol: Protocol;
  readonly mtls: MtlsMode;
}

/** What of a pod's traffic some chains are for. */
interface Place {
  /** Begins the chains' names. */
  readonly label: string;
  /** Without a port: what no other chain is for. */
  readonly match: MessageInitShape<typeof FilterChainMatchSchema>;
  readonly protocol: Protocol;
  readonly mtls: MtlsMode;
  /** Statistics are apart for what comes in mutual TLS and what does not. */
  readonly http: (security: Security) => Filter;
  readonly tcp: (security: Security) => Filter[];
}

const told = (common: Common, security: Security): Told => ({ ...common, side: "server", security });

/** What all chains of a pod share. */
export interface ChainContext extends Common {
  readonly network: NetworkPolicies;
}

const tcpOf =
  (cluster: string, port: number | undefined, { network, ...common }: ChainContext) =>
  (security: Security): Filter[] => {
    const isMutualTls = security === "mtls";
    const proxy = isMutualTls ? tcpProxy : plaintextTcpProxy;
    const target = network.isClosed({ port, isMutualTls }) ? blackHoleCluster : cluster;
    return [...network.filters, proxy(target, told(common, security))];
  };

/** Inside the mesh's mutual TLS, which its clients' ALPN tells from any other TLS. */
const meshChains = ({ label, match, protocol, tcp, http }: Place, mesh: MeshConfig): readonly FilterChain[] => {
  const tls = { ...match, transportProtocol: "tls" };
  const httpTls = { transportSocket: serverTls(mesh, ["h2", "http/1.1"]) };
  const tcpTls = { transportSocket: serverTls(mesh, meshTcpAlpn) };
  const anyAlpn = { ...tls, applicationProtocols: [...meshHttpAlpn, ...meshTcpAlpn] };
  switch (protocol) {
    case "http":
    case "http2":
      return [chain(`${label}-mtls-http`, anyAlpn, [peerFilter(), http("mtls")], httpTls)];
    case "tcp":
      return [chain(`${label}-mtls-tcp`, anyAlpn, [peerFilter(), ...tcp("mtls")], tcpTls)];
    case "auto":
      return [
        chain(
          `${label}-mtls-http`,
          { ...tls, applicationProtocols: [...meshHttpAlpn] },
          [peerFilter(), http("mtls")],
          httpTls,
        ),
        chain(
          `${label}-mtls-tcp`,
          { ...tls, applicationProtocols: [...meshTcpAlpn] },
          [peerFilter(), ...tcp("mtls")],
          tcpTls,
        ),
      ];
  }
};

/** Any other TLS, which must be by a certificate of the mesh: of a client with one but without a proxy. */
const strictChain = ({ label, match, protocol, tcp, http }: Place, mesh: MeshConfig): FilterChain => {
  const isHttp = protocol === "http" || protocol === "http2";
  return chain(
    `${label}-mtls-any`,
    { ...match, transportProtocol: "tls" },
    [peerFilter(), ...(isHttp ? [http("mtls")] : tcp("mtls"))],
    { transportSocket: serverTls(mesh, isHttp ? ["h2", "http/1.1"] : meshTcpAlpn) },
  );
};

/** Plaintext, and TLS that the application speaks itself. */
const plainChains = ({ label, match, protocol, tcp, http }: Place): readonly FilterChain[] => {
  const tls = { ...match, transportProtocol: "tls" };
  const raw = { ...match, transportProtocol: "raw_buffer" };
  switch (protocol) {
    case "http":
    case "http2":
      return [chain(`${label}-http`, raw, [http("plaintext")])];
    case "tcp":
      return [chain(`${label}-tls`, tls, tcp("plaintext")), chain(`${label}-tcp`, raw, tcp("plaintext"))];
    case "auto":
      return [
        chain(`${label}-tls`, tls, tcp("plaintext")),
        chain(`${label}-http`, { ...raw, ...plainHttp("http1", "http2") }, [http("plaintext")]),
        chain(`${label}-tcp`, raw, tcp("plaintext")),
      ];
  }
};

/**
 * The same chains stand in every mode that has them, to the byte: a change of mode leaves connections alone that the new
 * one takes too. What no chain takes is closed unanswered.
 */
const chainsOf = (place: Place, mesh: MeshConfig): readonly FilterChain[] => [
  ...(place.mtls === "DISABLE" ? [] : meshChains(place, mesh)),
  ...(place.mtls === "STRICT" ? [strictChain(place, mesh)] : plainChains(place)),
];

const statPrefix = (label: string, security: Security): string =>
  security === "mtls" ? `inbound_${label}` : `inbound_${label}_plaintext`;

/** Of a Service's port, or of all ports that are in none. */
const httpOf = (common: Common, label: string, inline: RouteConfiguration) => (security: Security) =>
  httpConnectionManager({
    direction: "inbound",
    ...common,
    security,
    statPrefix: statPrefix(label, security),
    routes: { inline },
    ...(security === "plaintext" ? { router: plaintextRequests } : {}),
  });

/** Of a port that is served. A listener that is for this port alone matches no port. */
export const servedChains = (
  { port, protocol, mtls }: ServedPort,
  context: ChainContext,
  isShared = true,
): readonly FilterChain[] => {
  const cluster = inboundClusterName(port);
  const label = `0.0.0.0_${port}`;
  const match = isShared ? { destinationPort: port } : {};
  const http = httpOf(context, label, inboundRoutes(cluster, port, cluster));
  return chainsOf({ label, match, protocol, mtls, http, tcp: tcpOf(cluster, port, context) }, context.mesh);
};

/** Of ports in no Service: of one that a policy names, or of all others. */
export const passthroughChains = (
  port: number | undefined,
  mtls: MtlsMode,
  context: ChainContext,
): readonly FilterChain[] => {
  const cluster = inboundPassthroughCluster;
  const http = httpOf(context, "passthrough", passthroughRoutes(cluster, cluster));
  const place = port === undefined ? {} : { destinationPort: port };
  const label = port === undefined ? "passthrough" : `passthrough_${port}`;
  return chainsOf(
    { label, match: place, protocol: "auto", mtls, http, tcp: tcpOf(cluster, port, context) },
    context.mesh,
  );
};
