import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse as parseYaml } from "yaml";
import { defaultMeshConfig, type MeshConfig } from "../api/meshconfig.js";
import { type InjectionTemplate, parseTemplate } from "../injection/template.js";
import type { InjectionValues } from "../injection/types.js";

export interface Settings {
  readonly namespace: string;
  readonly serviceName: string;
  readonly webhookConfiguration: string;
  readonly revision: string;
  readonly clusterId: string;
  readonly network: string;
  readonly logLevel: string;
  readonly mesh: MeshConfig;
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

/** Istio's MeshConfig, as far as it is honoured. Throws an Error that names field, value and cure. */
export const readMeshConfig = (fields: Readonly<Record<string, unknown>>, clusterDomain: string): MeshConfig => {
  const text = (field: string, fallback: string): string => {
    const value = fields[field] ?? fallback;
    if (typeof value === "string" && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i.test(value)) return value;
    throw new Error(`meshConfig.${field}: ${JSON.stringify(value)} is not a DNS name; correct it`);
  };
  const policy = (fields["outboundTrafficPolicy"] as { mode?: unknown } | undefined)?.mode ?? "ALLOW_ANY";
  if (policy !== "ALLOW_ANY" && policy !== "REGISTRY_ONLY")
    throw new Error(`meshConfig.outboundTrafficPolicy.mode: ${JSON.stringify(policy)}; use ALLOW_ANY or REGISTRY_ONLY`);
  const automatic = fields["enableAutoMtls"] ?? true;
  if (typeof automatic !== "boolean")
    throw new Error(`meshConfig.enableAutoMtls: ${JSON.stringify(automatic)}; use true or false`);
  return {
    ...defaultMeshConfig,
    rootNamespace: text("rootNamespace", defaultMeshConfig.rootNamespace),
    trustDomain: text("trustDomain", defaultMeshConfig.trustDomain),
    clusterDomain,
    outboundTrafficPolicy: policy,
    enableAutoMtls: automatic,
  };
};

/** Reads environment and mounted ConfigMaps; a change of them replaces the pod. */
export const readSettings = async (
  environment: NodeJS.ProcessEnv,
  folders = { mesh: "/etc/istio/config", injection: "/etc/istio/inject", templates: "/app/templates" },
): Promise<Settings> => {
  const values = await readObject(join(folders.injection, "values"));
  const own = await readIfThere(join(folders.injection, "config"));
  const template = own.trim() === "" ? await readFile(join(folders.templates, "sidecar.yaml"), "utf8") : own;
  return {
    namespace: environment["POD_NAMESPACE"] ?? "istio-system",
    serviceName: environment["SERVICE_NAME"] ?? "heddled",
    webhookConfiguration: environment["WEBHOOK_CONFIGURATION"] ?? "heddle-sidecar-injector",
    revision: environment["REVISION"] ?? "default",
    clusterId: environment["CLUSTER_ID"] ?? "Kubernetes",
    network: environment["NETWORK"] ?? "",
    logLevel: environment["LOG_LEVEL"] ?? "info",
    mesh: readMeshConfig(
      await readObject(join(folders.mesh, "mesh")),
      environment["CLUSTER_DOMAIN"] ?? "cluster.local",
    ),
    values: values as unknown as InjectionValues,
    template: parseTemplate(template, await readIfThere(join(folders.injection, "overlays"))),
  };
};
