import type { ClientTlsSettings } from "../../api/networking/client-tls.js";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import type { Protocol } from "../../model/protocol.js";
import { type Endpoint, type MeshService, type ServicePort, takesMutualTls } from "../../model/service.js";
import type { ClusterSchema } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../../proto/envoy/config/core/v3/base_pb.js";
import type { Init } from "../init.js";
import {
  clientAlpn,
  clientTls,
  originateTls,
  plaintext,
  type SanMatch,
  type TrustedDomains,
  trustDomainsOf,
  withProxyProtocol,
} from "../tls.js";
import { sniOf } from "./names.js";
import type { OutboundClusterOptions } from "./options.js";

/** How connections of a cluster are protected, and what of that HTTP has to fill in from each request. */
export interface Transport {
  readonly cluster: Pick<Init<typeof ClusterSchema>, "transportSocket" | "transportSocketMatches">;
  readonly auto: { readonly sni: boolean; readonly subjectAltName: boolean };
}

const fromRule = { sni: false, subjectAltName: false };

/** Whom the mesh's mutual TLS accepts as this service: the identities of its endpoints, else any of its namespace. */
const peersOf = (service: MeshService, endpoints: readonly Endpoint[], mesh: TrustedDomains): readonly SanMatch[] => {
  const domains = trustDomainsOf(mesh);
  const accounts = new Set(
    endpoints
      .filter(({ isInMesh }) => isInMesh)
      .flatMap(({ namespace, serviceAccount }) =>
        domains.map((domain) => `spiffe://${domain}/ns/${namespace}/sa/${serviceAccount ?? "default"}`),
      ),
  );
  return accounts.size === 0
    ? domains.map((domain) => ({ case: "prefix" as const, value: `spiffe://${domain}/ns/${service.namespace}/sa/` }))
    : [...accounts].sort().map((value) => ({ case: "exact" as const, value }));
};

/** Marks HTTP of the mesh and lets the other side tell its version from the first bytes. */
const anyHttpAlpn = ["istio-http/1.1", "istio"] as const;

const alpnOf = (protocol: Protocol, policy: TrafficPolicy): readonly string[] => {
  if (protocol === "auto") return clientAlpn.tcp;
  if (protocol !== "tcp" && policy.connectionPool?.http?.useClientProtocol === true) return anyHttpAlpn;
  return clientAlpn[protocol];
};

const allTakeMutualTls = (endpoints: readonly Endpoint[], { name }: ServicePort): boolean =>
  endpoints.length > 0 && endpoints.every((endpoint) => takesMutualTls(endpoint, name));

const explicitPeers = (tls: ClientTlsSettings, { service, endpoints, mesh }: OutboundClusterOptions) => {
  const names = tls.subjectAltNames?.length ? tls.subjectAltNames : service.subjectAltNames;
  if (names.length > 0) return names.map((value): SanMatch => ({ case: "exact", value }));
  // Who stands outside the mesh and yet speaks with its certificates, such as a gateway, may be anyone of it.
  return service.isExternal && !endpoints.some(({ isInMesh }) => isInMesh)
    ? trustDomainsOf(mesh).map((domain) => ({ case: "prefix" as const, value: `spiffe://${domain}/` }))
    : peersOf(service, endpoints, mesh);
};

const meshTls = (options: OutboundClusterOptions, protocol: Protocol, tls?: ClientTlsSettings): TransportSocket => {
  const { service, port, subset, endpoints, mesh, policy } = options;
  return clientTls(
    tls?.sni || sniOf(service.host, port.port, subset),
    alpnOf(protocol, policy),
    tls === undefined ? peersOf(service, endpoints, mesh) : explicitPeers(tls, options),
    mesh,
  );
};

/** The name of a server outside the mesh that TCP, which names none, is meant for. */
const namedHost = ({ origin, host }: MeshService): string =>
  origin === "ServiceEntry" && !host.startsWith("*") ? host : "";

/**
 * TLS as the rule says. HTTP takes the server's name from each request, unless given. Over TCP there is none to take:
 * then it is the ServiceEntry's host; the certificate must be for it if it may come from any authority of the system.
 */
const ownTls = (options: OutboundClusterOptions, protocol: Protocol, tls: ClientTlsSettings): Transport => {
  const { service } = options;
  const isHttp = protocol !== "tcp";
  const sni = tls.sni ?? "";
  const given = tls.subjectAltNames?.length ? tls.subjectAltNames : service.subjectAltNames;
  const isVerified = tls.insecureSkipVerify !== true;
  const assumed = !isHttp && sni === "" ? namedHost(service) : "";
  const subjectAltNames = given.length > 0 || assumed === "" || (tls.caCertificates ?? "") !== "" ? given : [assumed];
  return {
    cluster: {
      transportSocket: originateTls({
        sni: sni || assumed,
        alpnProtocols: protocol === "http2" ? ["h2"] : [],
        settings: options.mesh.tlsDefaults,
        certificate:
          tls.mode === "MUTUAL" ? { certificateChain: tls.clientCertificate!, privateKey: tls.privateKey! } : undefined,
        verification: isVerified
          ? { authorities: tls.caCertificates ?? "", revoked: tls.caCrl ?? "", subjectAltNames }
          : undefined,
      }),
    },
    auto: {
      sni: isHttp && sni === "",
      subjectAltName: isHttp && sni === "" && given.length === 0 && isVerified,
    },
  };
};

/** Without a rule: mutual TLS to endpoints that take it, plaintext to others. */
const automaticTls = (
  options: OutboundClusterOptions,
  protocol: Protocol,
  isOriginalDestination: boolean,
): Transport["cluster"] => {
  const { service, port, endpoints, mesh } = options;
  if (!mesh.enableAutoMtls || service.isExternal) return {};
  // An original-destination host carries no metadata to choose by: all endpoints take it, or plaintext.
  if (isOriginalDestination)
    return allTakeMutualTls(endpoints, port) ? { transportSocket: meshTls(options, protocol) } : {};
  return {
    transportSocketMatches: [
      { name: "tlsMode-istio", match: { tlsMode: "istio" }, transportSocket: meshTls(options, protocol) },
      { name: "tlsMode-disabled", match: {}, transportSocket: plaintext() },
    ],
  };
};

const isWhole = (tls: ClientTlsSettings): boolean =>
  tls.mode !== "MUTUAL" || ((tls.clientCertificate ?? "") !== "" && (tls.privateKey ?? "") !== "");

/** Whether the rule asks for TLS that the proxy cannot be given; nothing may be sent then, least of all in plaintext. */
export const isUnattainable = (tls: ClientTlsSettings | undefined): boolean =>
  (tls?.mode === "SIMPLE" || tls?.mode === "MUTUAL") && ((tls.credentialName ?? "") !== "" || !isWhole(tls));

const tlsOf = (options: OutboundClusterOptions, protocol: Protocol, isOriginalDestination: boolean): Transport => {
  const { tls } = options.policy;
  if (tls === undefined) return { cluster: automaticTls(options, protocol, isOriginalDestination), auto: fromRule };
  switch (tls.mode ?? "DISABLE") {
    case "DISABLE":
      return { cluster: {}, auto: fromRule };
    case "ISTIO_MUTUAL":
      return { cluster: { transportSocket: meshTls(options, protocol, tls) }, auto: fromRule };
    case "SIMPLE":
    case "MUTUAL":
      return ownTls(options, protocol, tls);
  }
};

/**
 * The transport sockets of a cluster. The PROXY protocol goes before TLS that the rule asks for, but not before automatic
 * mutual TLS: the proxy at the other end would not understand it.
 */
export const transportOf = (
  options: OutboundClusterOptions,
  protocol: Protocol,
  isOriginalDestination: boolean,
): Transport => {
  const transport = tlsOf(options, protocol, isOriginalDestination);
  const { proxyProtocol, tls } = options.policy;
  if (proxyProtocol === undefined) return transport;
  const version = proxyProtocol.version ?? "V1";
  const { transportSocket, transportSocketMatches } = transport.cluster;
  if (transportSocketMatches !== undefined)
    return {
      ...transport,
      cluster: {
        transportSocketMatches: transportSocketMatches.map((match) =>
          match.name === "tlsMode-istio"
            ? match
            : { ...match, transportSocket: withProxyProtocol(plaintext(), version) },
        ),
      },
    };
  if (transportSocket !== undefined && tls === undefined) return transport;
  const inner = (transportSocket as TransportSocket | undefined) ?? plaintext();
  return { ...transport, cluster: { transportSocket: withProxyProtocol(inner, version) } };
};
