import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../api/meshconfig.js";
import { defaultMeshTls, type MeshTls } from "../api/meshconfig-tls.js";
import { type TransportSocket, TransportSocketSchema } from "../proto/envoy/config/core/v3/base_pb.js";
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  type ConfigSource,
  ConfigSourceSchema,
} from "../proto/envoy/config/core/v3/config_source_pb.js";
import { ProxyProtocolConfig_Version } from "../proto/envoy/config/core/v3/proxy_protocol_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../proto/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { RawBufferSchema } from "../proto/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import {
  SubjectAltNameMatcher_SanType,
  TlsParameters_TlsProtocol,
} from "../proto/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SecretSchema } from "../proto/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContext,
  CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../proto/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { encodeResource, packed } from "./encode.js";
import { type EncodedResource, typeUrls } from "./resources.js";

export const fromStream = (): ConfigSource =>
  create(ConfigSourceSchema, {
    configSourceSpecifier: { case: "ads", value: {} },
    resourceApiVersion: ApiVersion.V3,
    initialFetchTimeout: { seconds: 0n },
  });

/** The SPIRE agent of the node, by the cluster in the proxy's bootstrap. It serves `default` and `ROOTCA` by these names. */
const fromSpire = (): ConfigSource =>
  create(ConfigSourceSchema, {
    configSourceSpecifier: {
      case: "apiConfigSource",
      value: {
        apiType: ApiConfigSource_ApiType.GRPC,
        transportApiVersion: ApiVersion.V3,
        grpcServices: [{ targetSpecifier: { case: "envoyGrpc", value: { clusterName: "spire-agent" } } }],
      },
    },
    resourceApiVersion: ApiVersion.V3,
    initialFetchTimeout: { seconds: 0n },
  });

/** What clients offer in ALPN, so that the server can tell HTTP from TCP inside the tunnel. */
export const clientAlpn = {
  http: ["istio-http/1.1", "istio", "http/1.1"],
  http2: ["istio-h2", "istio", "h2"],
  tcp: ["istio"],
} as const;

/** What a server takes for HTTP, and for anything, inside the mesh's mutual TLS. */
export const meshHttpAlpn = ["istio-http/1.0", "istio-http/1.1", "istio-h2"] as const;
export const meshTcpAlpn = ["istio-peer-exchange", "istio"] as const;

/** The mesh's trust domain, and others that mean the same. */
export type TrustedDomains = Pick<MeshConfig, "trustDomain" | "trustDomainAliases">;
/** Of TLS within the mesh; without `spire` its secrets come from the control plane. */
type MeshTlsSettings = Partial<Pick<MeshConfig, "meshMTLS" | "spire">>;

export const trustDomainsOf = ({ trustDomain, trustDomainAliases }: TrustedDomains): readonly string[] => [
  trustDomain,
  ...trustDomainAliases,
];

/** A SPIFFE id, or the beginning of one, that the other side may have. */
export interface SanMatch {
  readonly case: "exact" | "prefix";
  readonly value: string;
}

const parametersOf = ({ minProtocolVersion, cipherSuites, ecdhCurves }: MeshTls) => ({
  tlsMinimumProtocolVersion:
    minProtocolVersion === "TLSV1_3" ? TlsParameters_TlsProtocol.TLSv1_3 : TlsParameters_TlsProtocol.TLSv1_2,
  // A client's own default ends at 1.2.
  tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
  cipherSuites: [...cipherSuites],
  ecdhCurves: [...ecdhCurves],
});

const commonContext = (
  alpnProtocols: readonly string[],
  peers: readonly SanMatch[],
  { meshMTLS, spire }: MeshTlsSettings,
): CommonTlsContext => {
  const sdsConfig = spire === undefined ? fromStream() : fromSpire();
  return create(CommonTlsContextSchema, {
    alpnProtocols: [...alpnProtocols],
    tlsParams: parametersOf(meshMTLS ?? defaultMeshTls),
    tlsCertificateSdsSecretConfigs: [{ name: "default", sdsConfig }],
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: peers.map((matchPattern) => ({
            sanType: SubjectAltNameMatcher_SanType.URI,
            matcher: { matchPattern },
          })),
        },
        validationContextSdsSecretConfig: { name: "ROOTCA", sdsConfig },
      },
    },
  });
};

const tlsSocket = "envoy.transport_sockets.tls";

/** Takes only clients with a certificate of one of the trust domains. */
export const serverTls = (mesh: TrustedDomains & MeshTlsSettings, alpnProtocols: readonly string[]): TransportSocket =>
  create(TransportSocketSchema, {
    name: tlsSocket,
    configType: {
      case: "typedConfig",
      value: packed(
        DownstreamTlsContextSchema,
        create(DownstreamTlsContextSchema, {
          requireClientCertificate: true,
          commonTlsContext: commonContext(
            alpnProtocols,
            trustDomainsOf(mesh).map((domain) => ({ case: "prefix" as const, value: `spiffe://${domain}/` })),
            mesh,
          ),
        }),
      ),
    },
  });

/** Takes only a server whose SPIFFE id is one of `peers`. */
export const clientTls = (
  sni: string,
  alpnProtocols: readonly string[],
  peers: readonly SanMatch[],
  mesh: MeshTlsSettings = {},
): TransportSocket =>
  create(TransportSocketSchema, {
    name: tlsSocket,
    configType: {
      case: "typedConfig",
      value: packed(
        UpstreamTlsContextSchema,
        create(UpstreamTlsContextSchema, { sni, commonTlsContext: commonContext(alpnProtocols, peers, mesh) }),
      ),
    },
  });

/** Where Debian, and so the proxy's image, keeps the authorities that the world trusts. */
const systemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

/** Names by what they look like; a DNS name also takes a certificate with a wildcard that covers it. */
const sanTypeOf = (name: string): SubjectAltNameMatcher_SanType => {
  if (name.includes("://")) return SubjectAltNameMatcher_SanType.URI;
  if (isIP(name) !== 0) return SubjectAltNameMatcher_SanType.IP_ADDRESS;
  return name.includes("@") ? SubjectAltNameMatcher_SanType.EMAIL : SubjectAltNameMatcher_SanType.DNS;
};

/** A certificate and its key, files in the proxy's container. */
export interface CertificateFiles {
  readonly certificateChain: string;
  readonly privateKey: string;
}

export interface OriginationOptions {
  /** "" for none, or for the one that the request names. */
  readonly sni: string;
  readonly alpnProtocols: readonly string[];
  readonly settings: MeshTls;
  /** What the client presents; none for one-sided TLS. */
  readonly certificate: CertificateFiles | undefined;
  /** Whom to believe; undefined to believe anyone. */
  readonly verification:
    | {
        /** File of authorities, "" for the system's. */
        readonly authorities: string;
        /** File of revoked certificates, "" for none. */
        readonly revoked: string;
        /** The server's certificate carries one of them; any if empty. */
        readonly subjectAltNames: readonly string[];
      }
    | undefined;
}

/** TLS to a server that is not of the mesh's making. */
export const originateTls = (options: OriginationOptions): TransportSocket => {
  const { sni, alpnProtocols, certificate, verification } = options;
  const file = (filename: string) => ({ specifier: { case: "filename" as const, value: filename } });
  return create(TransportSocketSchema, {
    name: tlsSocket,
    configType: {
      case: "typedConfig",
      value: packed(
        UpstreamTlsContextSchema,
        create(UpstreamTlsContextSchema, {
          sni,
          commonTlsContext: {
            alpnProtocols: [...alpnProtocols],
            tlsParams: parametersOf(options.settings),
            ...(certificate === undefined
              ? {}
              : {
                  tlsCertificates: [
                    {
                      certificateChain: file(certificate.certificateChain),
                      privateKey: file(certificate.privateKey),
                    },
                  ],
                }),
            ...(verification === undefined
              ? {}
              : {
                  validationContextType: {
                    case: "validationContext",
                    value: {
                      trustedCa: file(verification.authorities || systemAuthorities),
                      ...(verification.revoked === "" ? {} : { crl: file(verification.revoked) }),
                      matchTypedSubjectAltNames: verification.subjectAltNames.map((value) => ({
                        sanType: sanTypeOf(value),
                        matcher: { matchPattern: { case: "exact" as const, value } },
                      })),
                    },
                  },
                }),
          },
        }),
      ),
    },
  });
};

/** Begins each connection with the PROXY protocol, before whatever `inner` does. */
export const withProxyProtocol = (inner: TransportSocket, version: "V1" | "V2"): TransportSocket =>
  create(TransportSocketSchema, {
    name: "envoy.transport_sockets.upstream_proxy_protocol",
    configType: {
      case: "typedConfig",
      value: packed(
        ProxyProtocolUpstreamTransportSchema,
        create(ProxyProtocolUpstreamTransportSchema, {
          config: { version: ProxyProtocolConfig_Version[version] },
          transportSocket: inner,
        }),
      ),
    },
  });

export const plaintext = (): TransportSocket =>
  create(TransportSocketSchema, {
    name: "envoy.transport_sockets.raw_buffer",
    configType: { case: "typedConfig", value: packed(RawBufferSchema, create(RawBufferSchema)) },
  });

/** The proxy's own certificate and the trust bundle, as SDS resources `default` and `ROOTCA`. */
export const secretResources = (secrets: {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly rootsPem: string;
}): readonly EncodedResource[] => {
  const inline = (text: string) => ({ specifier: { case: "inlineString" as const, value: text } });
  return [
    encodeResource(
      typeUrls.secret,
      "default",
      SecretSchema,
      create(SecretSchema, {
        name: "default",
        type: {
          case: "tlsCertificate",
          value: { certificateChain: inline(secrets.certificateChainPem), privateKey: inline(secrets.privateKeyPem) },
        },
      }),
    ),
    encodeResource(
      typeUrls.secret,
      "ROOTCA",
      SecretSchema,
      create(SecretSchema, {
        name: "ROOTCA",
        type: { case: "validationContext", value: { trustedCa: inline(secrets.rootsPem) } },
      }),
    ),
  ];
};
