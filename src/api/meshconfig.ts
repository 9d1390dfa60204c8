import { parseDuration } from "./duration.js";
import { checkExtensionProviders, type ExtensionProvider } from "./extension-provider.js";
import { error, errorIf, show, warning } from "./findings.js";
import type { Finding } from "./kind.js";
import { type MeshConfigFields, MeshConfigSchema, unusedMeshConfigFields } from "./meshconfig-schema.js";
import { checkMeshTls, defaultMeshTls, type MeshTls, resolveMeshTls } from "./meshconfig-tls.js";
import { checkExportTo, domainFault, labelNameFault } from "./names.js";
import { checkConnectionPool } from "./networking/connection-pool.js";
import { checkLocality } from "./networking/locality-check.js";
import { checkOutlierDetection } from "./networking/outlier-detection-check.js";
import { checkRetries } from "./networking/virtual-service-check-policy.js";
import { isObject, nodeOf, normalize } from "./normalize.js";
import { createSchemaCheck } from "./schema-findings.js";

export type PathNormalization = "NONE" | "BASE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES";

/** The folder of each node with the agent's file `socket`; "" for the CSI driver csi.spiffe.io. */
export interface SpireSettings {
  readonly nodeFolder: string;
}

/**
 * The fields of Istio's MeshConfig that are honoured, with its names and defaults; durations in milliseconds, except in
 * the parts that are of the shape of the configuration API.
 */
export interface MeshConfig {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly clusterDomain: string;
  /** The name of the cluster that the mesh is in, for telemetry. */
  readonly clusterId: string;
  /** SPIRE, where its agents give proxies their certificates; undefined where heddled does. No field of Istio's. */
  readonly spire: SpireSettings | undefined;
  readonly outboundTrafficPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
  /** Whether the proxy calls its application at the pod's address or at localhost. */
  readonly inboundTrafficPolicy: "PASSTHROUGH" | "LOCALHOST";
  readonly enableAutoMtls: boolean;
  readonly connectTimeoutMilliseconds: number;
  /** How long a port whose protocol is not declared waits for the client's first bytes before it counts as TCP. */
  readonly protocolDetectionTimeoutMilliseconds: number;
  readonly dnsRefreshRateMilliseconds: number;
  readonly tcpKeepalive: MeshConfigFields["tcpKeepalive"];
  readonly localityLbSetting: NonNullable<MeshConfigFields["localityLbSetting"]>;
  /** Namespaces, `.`, `*` or `~`; for resources that do not say. */
  readonly defaultServiceExportTo: readonly string[];
  readonly defaultVirtualServiceExportTo: readonly string[];
  readonly defaultDestinationRuleExportTo: readonly string[];
  readonly pathNormalization: PathNormalization;
  readonly defaultHttpRetryPolicy: MeshConfigFields["defaultHttpRetryPolicy"];
  readonly defaultTrafficPolicy: MeshConfigFields["defaultTrafficPolicy"];
  /** Of mutual TLS within the mesh. */
  readonly meshMTLS: MeshTls;
  /** Of TLS to servers that are not of the mesh's making. */
  readonly tlsDefaults: MeshTls;
  readonly h2UpgradePolicy: "DO_NOT_UPGRADE" | "UPGRADE";
  /** "" for none. */
  readonly accessLogFile: string;
  /** "" for the format that Istio has. */
  readonly accessLogFormat: string;
  readonly accessLogEncoding: "TEXT" | "JSON";
  /** Services that policies ask, by name. */
  readonly extensionProviders: readonly ExtensionProvider[];
  /** Istio's ProxyConfig, which injection reads. */
  readonly defaultConfig: Readonly<Record<string, unknown>>;
}

export const defaultMeshConfig: MeshConfig = {
  rootNamespace: "istio-system",
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  clusterDomain: "cluster.local",
  clusterId: "Kubernetes",
  spire: undefined,
  outboundTrafficPolicy: "ALLOW_ANY",
  inboundTrafficPolicy: "PASSTHROUGH",
  enableAutoMtls: true,
  connectTimeoutMilliseconds: 10_000,
  protocolDetectionTimeoutMilliseconds: 1000,
  dnsRefreshRateMilliseconds: 60_000,
  tcpKeepalive: undefined,
  localityLbSetting: { enabled: true },
  defaultServiceExportTo: ["*"],
  defaultVirtualServiceExportTo: ["*"],
  defaultDestinationRuleExportTo: ["*"],
  pathNormalization: "BASE",
  defaultHttpRetryPolicy: undefined,
  defaultTrafficPolicy: undefined,
  meshMTLS: defaultMeshTls,
  tlsDefaults: defaultMeshTls,
  h2UpgradePolicy: "DO_NOT_UPGRADE",
  accessLogFile: "",
  accessLogFormat: "",
  accessLogEncoding: "TEXT",
  extensionProviders: [],
  defaultConfig: {},
};

const root = "meshConfig";
const fits = createSchemaCheck(MeshConfigSchema);

const exportDefaults = [
  "defaultServiceExportTo",
  "defaultVirtualServiceExportTo",
  "defaultDestinationRuleExportTo",
] as const;
const durations = ["connectTimeout", "dnsRefreshRate"] as const;

const check = (fields: MeshConfigFields): readonly Finding[] => [
  ...errorIf(`${root}.rootNamespace`, labelNameFault(fields.rootNamespace ?? defaultMeshConfig.rootNamespace)),
  ...errorIf(`${root}.trustDomain`, domainFault(fields.trustDomain ?? defaultMeshConfig.trustDomain)),
  ...(fields.trustDomainAliases ?? []).flatMap((alias, index) =>
    errorIf(`${root}.trustDomainAliases[${index}]`, domainFault(alias)),
  ),
  ...durations.flatMap((field) =>
    (parseDuration(fields[field] ?? "1s") ?? 0) >= 1
      ? []
      : [error(`${root}.${field}`, `${show(fields[field])} is less than 1ms; give a longer duration, or leave it out`)],
  ),
  ...((parseDuration(fields.protocolDetectionTimeout ?? "0") ?? 0) >= 0
    ? []
    : [
        error(
          `${root}.protocolDetectionTimeout`,
          `${show(fields.protocolDetectionTimeout)} is negative; write 0s or more`,
        ),
      ]),
  ...exportDefaults.flatMap((field) => checkExportTo(`${root}.${field}`, fields[field], true)),
  ...checkConnectionPool(`${root}.defaultTrafficPolicy.connectionPool`, fields.defaultTrafficPolicy?.connectionPool),
  ...checkOutlierDetection(
    `${root}.defaultTrafficPolicy.outlierDetection`,
    fields.defaultTrafficPolicy?.outlierDetection,
  ),
  ...checkRetries(fields.defaultHttpRetryPolicy, undefined, `${root}.defaultHttpRetryPolicy`),
  ...checkExtensionProviders(fields.extensionProviders, `${root}.extensionProviders`),
  ...checkMeshTls(`${root}.meshMTLS`, fields.meshMTLS),
  ...checkMeshTls(`${root}.tlsDefaults`, fields.tlsDefaults),
  // Outlier detection, without which failover does nothing, is each DestinationRule's.
  ...checkLocality(`${root}.localityLbSetting`, fields.localityLbSetting, true),
];

const notEmpty = (values: readonly string[] | undefined): readonly string[] =>
  values === undefined || values.length === 0 ? ["*"] : values;

const resolve = (fields: MeshConfigFields, clusterDomain: string): MeshConfig => {
  const { pathNormalization: { normalization = "DEFAULT" } = {} } = fields;
  const milliseconds = (text: string | undefined, fallback: number): number =>
    text === undefined ? fallback : (parseDuration(text) ?? fallback);
  return {
    rootNamespace: fields.rootNamespace ?? defaultMeshConfig.rootNamespace,
    trustDomain: fields.trustDomain ?? defaultMeshConfig.trustDomain,
    trustDomainAliases: fields.trustDomainAliases ?? [],
    clusterDomain,
    clusterId: defaultMeshConfig.clusterId,
    spire: undefined,
    outboundTrafficPolicy: fields.outboundTrafficPolicy?.mode ?? defaultMeshConfig.outboundTrafficPolicy,
    inboundTrafficPolicy: fields.inboundTrafficPolicy?.mode ?? defaultMeshConfig.inboundTrafficPolicy,
    enableAutoMtls: fields.enableAutoMtls ?? defaultMeshConfig.enableAutoMtls,
    connectTimeoutMilliseconds: milliseconds(fields.connectTimeout, defaultMeshConfig.connectTimeoutMilliseconds),
    protocolDetectionTimeoutMilliseconds: milliseconds(
      fields.protocolDetectionTimeout,
      defaultMeshConfig.protocolDetectionTimeoutMilliseconds,
    ),
    dnsRefreshRateMilliseconds: milliseconds(fields.dnsRefreshRate, defaultMeshConfig.dnsRefreshRateMilliseconds),
    tcpKeepalive: fields.tcpKeepalive,
    localityLbSetting: { enabled: true, ...fields.localityLbSetting },
    defaultServiceExportTo: notEmpty(fields.defaultServiceExportTo),
    defaultVirtualServiceExportTo: notEmpty(fields.defaultVirtualServiceExportTo),
    defaultDestinationRuleExportTo: notEmpty(fields.defaultDestinationRuleExportTo),
    pathNormalization: normalization === "DEFAULT" ? "BASE" : normalization,
    defaultHttpRetryPolicy: fields.defaultHttpRetryPolicy,
    defaultTrafficPolicy: fields.defaultTrafficPolicy,
    meshMTLS: resolveMeshTls(fields.meshMTLS),
    tlsDefaults: resolveMeshTls(fields.tlsDefaults),
    h2UpgradePolicy: fields.h2UpgradePolicy ?? defaultMeshConfig.h2UpgradePolicy,
    accessLogFile: fields.accessLogFile ?? "",
    accessLogFormat: fields.accessLogFormat ?? "",
    accessLogEncoding: fields.accessLogEncoding ?? "TEXT",
    extensionProviders: fields.extensionProviders ?? [],
    defaultConfig: fields.defaultConfig ?? {},
  };
};

const splitUnused = (value: unknown): { readonly used: unknown; readonly unused: readonly Finding[] } => {
  if (!isObject(value)) return { used: value, unused: [] };
  const [unused, used] = [true, false].map((wanted) =>
    Object.entries(value).filter(([name]) => unusedMeshConfigFields.has(name) === wanted),
  ) as [[string, unknown][], [string, unknown][]];
  return {
    used: Object.fromEntries(used),
    unused: unused.map(([name]) => warning(`${root}.${name}`, "has no effect in this version; remove it")),
  };
};

/**
 * Reads Istio's MeshConfig from JSON or YAML. `warn` is told of fields that do nothing. Throws an Error that names field,
 * value and cure of everything that is wrong.
 */
export const readMeshConfig = (
  value: unknown,
  clusterDomain: string,
  warn: (finding: Finding) => void = () => {},
): MeshConfig => {
  const { used, unused } = splitUnused(value);
  const { value: normal, findings: read } = normalize(nodeOf(MeshConfigSchema), used, root);
  const misfits = [...fits(normal, root), ...errorIf("cluster.domain", domainFault(clusterDomain))];
  const findings = [...unused, ...read, ...misfits, ...(misfits.length > 0 ? [] : check(normal as MeshConfigFields))];
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(errors.map(({ path, message }) => `${path}: ${message}`).join("\n"));
  for (const finding of findings) warn(finding);
  return resolve(normal as MeshConfigFields, clusterDomain);
};
