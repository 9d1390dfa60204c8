import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import { type MeshConfig, readMeshConfig } from "../api/meshconfig.js";
import { readProxyConfig } from "../injection/proxy-config.js";
import { type InjectionTemplate, parseTemplate } from "../injection/template.js";
import type { InjectionValues } from "../injection/types.js";

export interface Settings {
  readonly namespace: string;
  readonly serviceName: string;
  readonly webhookConfiguration: string;
  readonly validationConfiguration: string;
  readonly revision: string;
  readonly clusterId: string;
  readonly network: string;
  readonly logLevel: string;
  readonly mesh: MeshConfig;
  /** Of the mesh configuration: what does nothing, for the log. */
  readonly warnings: readonly string[];
  readonly values: InjectionValues;
  readonly template: InjectionTemplate;
}

const readIfThere = async (path: string): Promise<string> => {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
};

const readObject = async (path: string): Promise<Readonly<Record<string, unknown>>> => {
  const value: unknown = parseYaml(await readIfThere(path));
  if (value === null || value === undefined) return {};
  if (typeof value !== "object" || Array.isArray(value))
    throw new Error(`${path}: is not an object; write YAML or JSON`);
  return value as Readonly<Record<string, unknown>>;
};

const checkDefaultConfig = ({ defaultConfig }: MeshConfig): void => {
  try {
    readProxyConfig(defaultConfig);
  } catch (error) {
    throw new Error(`meshConfig.defaultConfig: ${(error as Error).message}; correct it`);
  }
};

/** Reads environment and mounted ConfigMaps; a change of them replaces the pod. */
export const readSettings = async (
  environment: NodeJS.ProcessEnv,
  folders = { mesh: "/etc/istio/config", injection: "/etc/istio/inject", templates: "/app/templates" },
): Promise<Settings> => {
  const warnings: string[] = [];
  const mesh = readMeshConfig(
    await readObject(join(folders.mesh, "mesh")),
    environment["CLUSTER_DOMAIN"] ?? "cluster.local",
    ({ path, message }) => warnings.push(`${path}: ${message}`),
  );
  checkDefaultConfig(mesh);
  const values = await readObject(join(folders.injection, "values"));
  const own = await readIfThere(join(folders.injection, "config"));
  const template = own.trim() === "" ? await readFile(join(folders.templates, "sidecar.yaml"), "utf8") : own;
  return {
    namespace: environment["POD_NAMESPACE"] ?? "istio-system",
    serviceName: environment["SERVICE_NAME"] ?? "heddled",
    webhookConfiguration: environment["WEBHOOK_CONFIGURATION"] ?? "heddle-sidecar-injector",
    validationConfiguration: environment["VALIDATION_CONFIGURATION"] ?? "heddle-validator",
    revision: environment["REVISION"] ?? "default",
    clusterId: environment["CLUSTER_ID"] ?? "Kubernetes",
    network: environment["NETWORK"] ?? "",
    logLevel: environment["LOG_LEVEL"] ?? "info",
    mesh,
    warnings,
    values: { ...(values as unknown as InjectionValues), defaultConfig: mesh.defaultConfig },
    template: parseTemplate(template, await readIfThere(join(folders.injection, "overlays"))),
  };
};
