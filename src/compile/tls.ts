import { create } from "@bufbuild/protobuf";
import { type TransportSocket, TransportSocketSchema } from "../proto/envoy/config/core/v3/base_pb.js";
import { ApiVersion, type ConfigSource, ConfigSourceSchema } from "../proto/envoy/config/core/v3/config_source_pb.js";
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

/** What clients offer in ALPN, so that the server can tell HTTP from TCP inside the tunnel. */
export const clientAlpn = {
  http: ["istio-http/1.1", "istio", "http/1.1"],
  http2: ["istio-h2", "istio", "h2"],
  tcp: ["istio"],
} as const;

/** What a server takes for HTTP, and for anything, inside the mesh's mutual TLS. */
export const meshHttpAlpn = ["istio-http/1.0", "istio-http/1.1", "istio-h2"] as const;
export const meshTcpAlpn = ["istio-peer-exchange", "istio"] as const;

type SanMatch = { readonly case: "exact" | "prefix"; readonly value: string };

const commonContext = (alpnProtocols: readonly string[], peers: readonly SanMatch[]): CommonTlsContext =>
  create(CommonTlsContextSchema, {
    alpnProtocols: [...alpnProtocols],
    tlsParams: { tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2 },
    tlsCertificateSdsSecretConfigs: [{ name: "default", sdsConfig: fromStream() }],
    validationContextType: {
      case: "combinedValidationContext",
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: peers.map((matchPattern) => ({
            sanType: SubjectAltNameMatcher_SanType.URI,
            matcher: { matchPattern },
          })),
        },
        validationContextSdsSecretConfig: { name: "ROOTCA", sdsConfig: fromStream() },
      },
    },
  });

const tlsSocket = "envoy.transport_sockets.tls";

/** Takes only clients with a certificate of the trust domain. */
export const serverTls = (trustDomain: string, alpnProtocols: readonly string[]): TransportSocket =>
  create(TransportSocketSchema, {
    name: tlsSocket,
    configType: {
      case: "typedConfig",
      value: packed(
        DownstreamTlsContextSchema,
        create(DownstreamTlsContextSchema, {
          requireClientCertificate: true,
          commonTlsContext: commonContext(alpnProtocols, [{ case: "prefix", value: `spiffe://${trustDomain}/` }]),
        }),
      ),
    },
  });

/** Takes only a server whose SPIFFE id is one of `peers`. */
export const clientTls = (sni: string, alpnProtocols: readonly string[], peers: readonly SanMatch[]): TransportSocket =>
  create(TransportSocketSchema, {
    name: tlsSocket,
    configType: {
      case: "typedConfig",
      value: packed(
        UpstreamTlsContextSchema,
        create(UpstreamTlsContextSchema, { sni, commonTlsContext: commonContext(alpnProtocols, peers) }),
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
