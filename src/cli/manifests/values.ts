import { readFileSync } from "node:fs";
import { parse as parseYaml } from "yaml";
import { version } from "../version.js";
import { type Field, faultsOf, isField, isObject, mapTree, merge, type Tree, type ValuesOf } from "./schema.js";

const text = (value: string, hint: string, pattern?: RegExp): Field & { readonly kind: "string" } => ({
  kind: "string",
  default: value,
  hint,
  ...(pattern === undefined ? {} : { pattern }),
});
const free = (value: Readonly<Record<string, unknown>>, hint: string): Field & { readonly kind: "object" } => ({
  kind: "object",
  default: value,
  hint,
});
const resources = (requests: { readonly cpu: string; readonly memory: string }): Field & { readonly kind: "object" } =>
  free({ requests }, 'resource requirements as in a container, such as {"requests":{"cpu":"100m"}}');

const time = /^\d{1,9}(s|m|h)$/;
const label = /^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$/;
const domain = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** Every value of an installation with its default, the source of types, checks and the Helm chart's values.yaml. */
export const valueTree = {
  revision: text("default", 'a name of lower-case letters, digits and dashes; "default" for the only one', label),
  hub: text("heddle", 'a registry and folder, such as "registry.example/heddle"', /^[\w.:/-]+$/),
  tag: text(version, "a tag of the images", /^[\w][\w.-]{0,127}$/),
  imagePullPolicy: {
    kind: "choice",
    default: "IfNotPresent",
    choices: ["Always", "IfNotPresent", "Never"],
    hint: "a pull policy",
  },
  imagePullSecrets: { kind: "list", default: [], hint: 'a list of names, such as [{"name":"registry"}]' },
  controlPlane: {
    replicas: { kind: "integer", default: 2, minimum: 1, maximum: 100, hint: "the number of replicas" },
    podDisruptionBudget: { kind: "boolean", default: true, hint: "true or false" },
    networkPolicy: { kind: "boolean", default: true, hint: "true or false" },
    resources: resources({ cpu: "200m", memory: "256Mi" }),
    logLevel: {
      kind: "choice",
      default: "info",
      choices: ["trace", "debug", "info", "warn", "error"],
      hint: "a log level",
    },
    nodeSelector: free({}, "labels of nodes"),
    tolerations: { kind: "list", default: [], hint: "a list of tolerations as in a pod" },
    issuerAuthorities: text(
      "",
      "certificates in PEM of authorities, besides the system's, that issuers of JWTs may use",
    ),
  },
  cluster: {
    id: text("Kubernetes", "the cluster's name in the mesh", /^[\w.-]{1,63}$/),
    domain: text("cluster.local", "the cluster's DNS domain", domain),
    network: text("", "a network's name, or nothing", /^[\w.-]{0,63}$/),
  },
  proxy: {
    resources: resources({ cpu: "100m", memory: "128Mi" }),
    initResources: resources({ cpu: "10m", memory: "16Mi" }),
    logLevel: {
      kind: "choice",
      default: "warning",
      choices: ["trace", "debug", "info", "warning", "error", "critical", "off"],
      hint: "one of Envoy's log levels",
    },
  },
  injection: {
    template: text("", "a whole injection template as in templates/sidecar.yaml, or nothing for the built-in one"),
    overlays: text("", "a YAML list of RFC 6902 operations on the template, or nothing"),
    timeoutSeconds: { kind: "integer", default: 10, minimum: 1, maximum: 30, hint: "seconds" },
  },
  validation: {
    timeoutSeconds: { kind: "integer", default: 10, minimum: 1, maximum: 30, hint: "seconds" },
  },
  certificates: {
    source: {
      kind: "choice",
      default: "heddled",
      choices: ["heddled", "spire"],
      hint: "who gives proxies their certificates",
    },
    spireNodeFolder: text(
      "",
      "folder of each node with the SPIRE agent's file `socket`, or nothing for the CSI driver csi.spiffe.io",
      /^(\/[\w.-]+)*$/,
    ),
    workloadLifetime: text("24h", 'a time such as "24h"', time),
    rootLifetime: text("87600h", 'a time such as "87600h", of a root that heddled makes', time),
    rotateRootBefore: text(
      "",
      "how long before its end such a root is rotated, or nothing for a fifth of its life",
      /^(\d{1,9}(s|m|h))?$/,
    ),
  },
  meshConfig: free({ trustDomain: "cluster.local", accessLogFile: "" }, "an object of Istio's MeshConfig"),
} as const satisfies Tree;

export type Values = ValuesOf<typeof valueTree>;

/** What each profile changes. `default` is for production, `demo` for trying out, `minimal` for a small cluster. */
export const profiles = {
  default: {},
  demo: {
    controlPlane: { replicas: 1, podDisruptionBudget: false, resources: { requests: { cpu: "50m", memory: "128Mi" } } },
    proxy: { resources: { requests: { cpu: "10m", memory: "64Mi" } } },
    meshConfig: { accessLogFile: "/dev/stdout" },
  },
  minimal: {
    controlPlane: { replicas: 1, podDisruptionBudget: false, resources: { requests: { cpu: "20m", memory: "96Mi" } } },
    proxy: {
      resources: { requests: { cpu: "10m", memory: "48Mi" } },
      initResources: { requests: { cpu: "1m", memory: "8Mi" } },
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, unknown>>>>;

const profileField: Field = {
  kind: "choice",
  default: "default",
  choices: Object.keys(profiles),
  hint: "a profile",
};

export const defaultValues = mapTree(valueTree, (_, field) => field.default);

/** What the user asked for, as the command line holds it. */
export interface ValueSources {
  /** `key=value` settings, the last of a key wins. */
  readonly set?: readonly string[];
  /** Paths of YAML files with values, the later over the earlier; settings are over files. */
  readonly files?: readonly string[];
  readonly revision?: string;
}

/** Values that cannot be used; the message names each, and the cure. */
const refuse = (faults: readonly string[]): never => {
  throw new Error(faults.length === 1 ? faults[0] : `${faults.length} values are wrong:\n  ${faults.join("\n  ")}`);
};

const leafAt = (path: readonly string[]): Field | undefined => {
  let node: Tree | Field = valueTree;
  for (const name of path) {
    if (isField(node)) return undefined;
    const next: Tree | Field | undefined = Object.hasOwn(node, name) ? node[name] : undefined;
    if (next === undefined) return undefined;
    node = next;
  }
  return isField(node) ? node : undefined;
};

/** Numbers, true, false, null, [lists] and {objects} as YAML has them; all else is text. */
const readScalarOrFlow = (setting: string, given: string): unknown => {
  const flow = /^\s*[[{]/.test(given);
  if (!flow && !/^(-?\d+(\.\d+)?|true|false|null)$/.test(given)) return given;
  try {
    return parseYaml(given) as unknown;
  } catch {
    return refuse([`--set ${setting}: the value begins as a list or an object and is not one; quote it`]);
  }
};

/** `controlPlane.replicas=3` as {controlPlane: {replicas: 3}}; `\.` is a dot within a name. */
const readSetting = (setting: string): Record<string, unknown> => {
  const at = setting.indexOf("=");
  if (at <= 0) return refuse([`--set ${setting}: write key=value, such as --set profile=demo`]);
  const path = setting
    .slice(0, at)
    .split(/(?<!\\)\./)
    .map((name) => name.replaceAll("\\.", "."));
  const given = setting.slice(at + 1);
  const field = leafAt(path);
  const value = field?.kind === "string" || path[0] === "profile" ? given : readScalarOrFlow(setting, given);
  return path.reduceRight<unknown>((below, name) => ({ [name]: below }), value) as Record<string, unknown>;
};

const readFile = (path: string): Record<string, unknown> => {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    return refuse([`-f ${path}: cannot be read: ${(error as Error).message}`]);
  }
  try {
    const values = (parseYaml(content) ?? {}) as unknown;
    return isObject(values) ? values : refuse([`-f ${path}: is not a YAML object`]);
  } catch (error) {
    return refuse([`-f ${path}: is not YAML: ${(error as Error).message.split("\n")[0]}`]);
  }
};

/**
 * The values of an installation: defaults, then the profile, then files, then settings. Throws an Error that names every
 * wrong value with its cure.
 */
export const loadValues = (sources: ValueSources): Values => {
  const given = [
    ...(sources.files ?? []).map(readFile),
    ...(sources.set ?? []).map(readSetting),
    ...(sources.revision === undefined ? [] : [{ revision: sources.revision }]),
  ].reduce(merge, {});
  const faults = faultsOf({ ...valueTree, profile: profileField }, given);
  if (faults.length > 0) return refuse(faults);
  const { profile = "default", ...own } = given;
  return merge(merge(defaultValues, profiles[profile as keyof typeof profiles]), own) as unknown as Values;
};
