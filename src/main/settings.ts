import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { inspectionPort } from "../admission/inspection.js";
import { defaultMeshConfig, type MeshConfig, readMeshConfig } from "../api/meshconfig.js";
import { type CertificateSettings, readCertificateSettings, readSpireSettings } from "./certificates/settings.js";
import type { RotationSettings } from "./control-plane.js";
import { readDuration } from "./duration.js";
import {
  type InjectionSettings,
  type InjectionTexts,
  readFields,
  readInjectionSettings,
} from "./injection-settings.js";
import type { IssuerKeySettings } from "./issuer-keys.js";

export interface Settings {
  readonly namespace: string;
  readonly podName: string;
  readonly serviceName: string;
  readonly webhookConfiguration: string;
  /** The configuration of the validating webhook, which a cluster need not have. */
  readonly validationConfiguration: string;
  readonly meshConfigMap: string;
  readonly injectionConfigMap: string;
  readonly revision: string;
  readonly clusterId: string;
  readonly network: string;
  readonly logLevel: string;
  readonly host: string;
  readonly xdsPort: number;
  readonly monitoringPort: number;
  readonly webhookPort: number;
  readonly inspectionPort: number;
  /** From the signal to end until proxies are told to go elsewhere, while other replicas take over. */
  readonly shutdownGraceMilliseconds: number;
  /** How long after that the last proxy is told. */
  readonly shutdownSpreadMilliseconds: number;
  readonly rotation: RotationSettings;
  readonly issuerKeys: IssuerKeySettings;
  readonly certificates: CertificateSettings;
  readonly mesh: MeshConfig;
  readonly meshText: string;
  /** Of the mesh configuration: what does nothing, for the log. */
  readonly warnings: readonly string[];
  readonly injectionTexts: InjectionTexts;
  readonly builtInTemplate: string;
  readonly injection: InjectionSettings;
}

const readIfThere = async (path: string): Promise<string> => {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
};

type Interfaces = Readonly<Record<string, readonly { readonly family: "IPv4" | "IPv6" }[] | undefined>>;

/** A kernel without IPv6 refuses to listen on `::`, which elsewhere takes both families. */
export const listenHostOf = (interfaces: Interfaces): string =>
  Object.values(interfaces).some((addresses) => addresses?.some(({ family }) => family === "IPv6")) ? "::" : "0.0.0.0";

const readPort = (environment: NodeJS.ProcessEnv, name: string, fallback: number): number => {
  const text = environment[name];
  if (text === undefined) return fallback;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new Error(`${name}: ${JSON.stringify(text)} is not a port; correct it`);
  return port;
};

/** Certificates in PEM, one after the other; undefined for none. */
export const readAuthorities = (text: string): string | undefined => {
  if (text.trim() === "") return undefined;
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length === 0) throw new Error("none");
    for (const block of blocks) new X509Certificate(block);
  } catch {
    throw new Error("issuerAuthorities: holds what is no certificate in PEM; write those of the authorities alone");
  }
  return blocks.join("\n");
};

/** Reads environment and mounted ConfigMaps. Throws an Error that names what is wrong and the cure. */
export const readSettings = async (environment: NodeJS.ProcessEnv): Promise<Settings> => {
  const folders = {
    mesh: environment["MESH_FOLDER"] ?? "/etc/istio/config",
    injection: environment["INJECTION_FOLDER"] ?? "/etc/istio/inject",
    templates: environment["TEMPLATES_FOLDER"] ?? "/app/templates",
  };
  const [meshText, authorities, values, config, overlays, builtInTemplate] = await Promise.all([
    readIfThere(join(folders.mesh, "mesh")),
    readIfThere(join(folders.mesh, "issuerAuthorities")),
    readIfThere(join(folders.injection, "values")),
    readIfThere(join(folders.injection, "config")),
    readIfThere(join(folders.injection, "overlays")),
    readFile(join(folders.templates, "sidecar.yaml"), "utf8"),
  ]);
  const revision = environment["REVISION"] ?? "default";
  const suffix = revision === "default" ? "" : `-${revision}`;
  const warnings: string[] = [];
  const clusterId = environment["CLUSTER_ID"] ?? defaultMeshConfig.clusterId;
  const mesh = {
    ...readMeshConfig(
      readFields(meshText, "meshConfig"),
      environment["CLUSTER_DOMAIN"] ?? "cluster.local",
      ({ path, message }) => warnings.push(`${path}: ${message}`),
    ),
    clusterId,
    spire: readSpireSettings(environment),
  };
  return {
    namespace: environment["POD_NAMESPACE"] ?? "istio-system",
    podName: environment["POD_NAME"] ?? hostname(),
    serviceName: environment["SERVICE_NAME"] ?? `heddled${suffix}`,
    webhookConfiguration: environment["WEBHOOK_CONFIGURATION"] ?? `heddle-sidecar-injector${suffix}`,
    validationConfiguration: environment["VALIDATION_CONFIGURATION"] ?? `heddle-validator${suffix}`,
    meshConfigMap: `istio${suffix}`,
    injectionConfigMap: `istio-sidecar-injector${suffix}`,
    revision,
    clusterId,
    network: environment["NETWORK"] ?? "",
    logLevel: environment["LOG_LEVEL"] ?? "info",
    host: environment["LISTEN_HOST"] ?? listenHostOf(networkInterfaces()),
    xdsPort: readPort(environment, "XDS_PORT", 15012),
    monitoringPort: readPort(environment, "MONITORING_PORT", 15014),
    webhookPort: readPort(environment, "WEBHOOK_PORT", 15017),
    inspectionPort: readPort(environment, "INSPECTION_PORT", inspectionPort),
    shutdownGraceMilliseconds: readDuration(environment, "SHUTDOWN_GRACE", "5s"),
    shutdownSpreadMilliseconds: readDuration(environment, "SHUTDOWN_SPREAD", "5s"),
    ...readCertificateSettings(environment),
    issuerKeys: {
      refreshMilliseconds: readDuration(environment, "ISSUER_KEYS_REFRESH", "20m"),
      authoritiesPem: readAuthorities(authorities),
    },
    mesh,
    meshText,
    warnings,
    injectionTexts: { values, config, overlays },
    builtInTemplate,
    injection: readInjectionSettings({ values, config, overlays }, builtInTemplate, mesh.defaultConfig),
  };
};
