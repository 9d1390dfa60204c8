import { readFile } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { defaultMeshConfig, type MeshConfig, readMeshConfig } from "../api/meshconfig.js";
import type { RotationSettings } from "./control-plane.js";
import {
  type InjectionSettings,
  type InjectionTexts,
  readFields,
  readInjectionSettings,
} from "./injection-settings.js";

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
  /** From the signal to end until proxies are told to go elsewhere, while other replicas take over. */
  readonly shutdownGraceMilliseconds: number;
  /** How long after that the last proxy is told. */
  readonly shutdownSpreadMilliseconds: number;
  readonly rotation: RotationSettings;
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

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A duration such as "5s" in milliseconds. */
const readDuration = (environment: NodeJS.ProcessEnv, name: string, fallback: string): number => {
  const text = environment[name] ?? fallback;
  const [, amount, unit] = /^(\d{1,6})(ms|s|m|h)$/.exec(text) ?? [];
  if (amount === undefined)
    throw new Error(`${name}: ${JSON.stringify(text)} is not a duration; write one such as "5s"`);
  return Number(amount) * units[unit!]!;
};

const readPort = (environment: NodeJS.ProcessEnv, name: string, fallback: number): number => {
  const text = environment[name];
  if (text === undefined) return fallback;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535)
    throw new Error(`${name}: ${JSON.stringify(text)} is not a port; correct it`);
  return port;
};

/** Reads environment and mounted ConfigMaps. Throws an Error that names what is wrong and the cure. */
export const readSettings = async (environment: NodeJS.ProcessEnv): Promise<Settings> => {
  const folders = {
    mesh: environment["MESH_FOLDER"] ?? "/etc/istio/config",
    injection: environment["INJECTION_FOLDER"] ?? "/etc/istio/inject",
    templates: environment["TEMPLATES_FOLDER"] ?? "/app/templates",
  };
  const [meshText, values, config, overlays, builtInTemplate] = await Promise.all([
    readIfThere(join(folders.mesh, "mesh")),
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
    shutdownGraceMilliseconds: readDuration(environment, "SHUTDOWN_GRACE", "5s"),
    shutdownSpreadMilliseconds: readDuration(environment, "SHUTDOWN_SPREAD", "5s"),
    rotation: {
      distributionMilliseconds: readDuration(environment, "CERTIFICATE_DISTRIBUTION", "10s"),
      reissueMilliseconds: readDuration(environment, "CERTIFICATE_REISSUE_WINDOW", "60s"),
    },
    mesh,
    meshText,
    warnings,
    injectionTexts: { values, config, overlays },
    builtInTemplate,
    injection: readInjectionSettings({ values, config, overlays }, builtInTemplate, mesh.defaultConfig),
  };
};
