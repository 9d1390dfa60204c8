import { type Static, Type } from "typebox";
import { extensionProvidersSchema } from "./extension-provider.js";
import { MeshTlsSchema } from "./meshconfig-tls.js";
import { ConnectionPoolSettings, TcpKeepalive } from "./networking/connection-pool.js";
import { localityLbSettingSchema } from "./networking/load-balancer.js";
import { outlierDetectionSchema } from "./networking/outlier-detection.js";
import { retries } from "./networking/virtual-service-policy.js";

const closed = { additionalProperties: false } as const;
const duration = (description: string) => Type.Optional(Type.String({ format: "duration", description }));
const texts = (description: string) =>
  Type.Optional(Type.Array(Type.String({ maxLength: 253 }), { maxItems: 1024, description }));

/** The fields of Istio's MeshConfig that the mesh acts on, in their own shape. */
export const MeshConfigSchema = Type.Object(
  {
    rootNamespace: Type.Optional(Type.String({ description: "Namespace whose resources hold for the whole mesh." })),
    trustDomain: Type.Optional(Type.String({ description: "Trust domain of the mesh's own identities." })),
    trustDomainAliases: texts("Further trust domains whose identities count as the mesh's own."),
    enableAutoMtls: Type.Optional(
      Type.Boolean({ description: "Mutual TLS between proxies without a DestinationRule." }),
    ),
    outboundTrafficPolicy: Type.Optional(
      Type.Object({ mode: Type.Optional(Type.Enum(["REGISTRY_ONLY", "ALLOW_ANY"])) }, closed),
    ),
    inboundTrafficPolicy: Type.Optional(
      Type.Object({ mode: Type.Optional(Type.Enum(["PASSTHROUGH", "LOCALHOST"])) }, closed),
    ),
    connectTimeout: duration("How long connecting to a host may take."),
    protocolDetectionTimeout: duration("How long the first bytes of a connection of unknown protocol are waited for."),
    dnsRefreshRate: duration("Time between two DNS queries of a name that cannot be resolved."),
    tcpKeepalive: Type.Optional(TcpKeepalive),
    localityLbSetting: Type.Optional(localityLbSettingSchema),
    defaultServiceExportTo: texts("Namespaces that see a service whose own exportTo does not say."),
    defaultVirtualServiceExportTo: texts("Namespaces that see a VirtualService whose own exportTo does not say."),
    defaultDestinationRuleExportTo: texts("Namespaces that see a DestinationRule whose own exportTo does not say."),
    pathNormalization: Type.Optional(
      Type.Object(
        {
          normalization: Type.Optional(
            Type.Enum(["DEFAULT", "NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"]),
          ),
        },
        closed,
      ),
    ),
    defaultHttpRetryPolicy: Type.Optional(retries),
    defaultTrafficPolicy: Type.Optional(
      Type.Object(
        {
          connectionPool: Type.Optional(ConnectionPoolSettings),
          outlierDetection: Type.Optional(outlierDetectionSchema),
        },
        { ...closed, description: "Each block holds where a DestinationRule has none of its own." },
      ),
    ),
    meshMTLS: Type.Optional(MeshTlsSchema),
    tlsDefaults: Type.Optional(MeshTlsSchema),
    h2UpgradePolicy: Type.Optional(Type.Enum(["DO_NOT_UPGRADE", "UPGRADE"])),
    accessLogFile: Type.Optional(
      Type.String({ description: "Path that proxies log requests to, such as /dev/stdout." }),
    ),
    accessLogFormat: Type.Optional(
      Type.String({ description: "Envoy's format of a line, or JSON for that encoding." }),
    ),
    accessLogEncoding: Type.Optional(Type.Enum(["TEXT", "JSON"])),
    extensionProviders: Type.Optional(extensionProvidersSchema),
    defaultConfig: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), { description: "ProxyConfig that every proxy is injected with." }),
    ),
  },
  closed,
);

export type MeshConfigFields = Static<typeof MeshConfigSchema>;

/** Fields that Istio has too: they are no mistake of the operator's, but do nothing here. */
export const unusedMeshConfigFields: ReadonlySet<string> = new Set([
  ...[
    "ca",
    "caCertificates",
    "certificates",
    "configSources",
    "defaultProviders",
    "disableEnvoyListenerLog",
    "discoverySelectors",
  ],
  ...["enableEnvoyAccessLogService", "enablePrometheusMerge", "enableTracing", "hboneIdleTimeout"],
  ...["inboundClusterStatName", "ingressClass", "ingressControllerMode", "ingressSelector", "ingressService"],
  ...["outboundClusterStatName", "proxyHttpPort", "proxyInboundListenPort", "proxyListenPort"],
  ...["serviceEntryVisibility", "serviceScopeConfigs", "serviceSettings", "verifyCertificateAtClient"],
]);
