import { parse as parseYaml } from "yaml";
import * as parse from "./parsers.js";
import type { ProxyConfigFields } from "./types.js";

/** The fields of Istio's ProxyConfig that injection honours; durations in seconds. */
export interface ProxySettings {
  /** Worker threads; 0 means one for each core of the node. */
  readonly concurrency?: number;
  readonly holdApplicationUntilProxyStarts?: boolean;
  readonly terminationDrainSeconds?: number;
  readonly drainSeconds?: number;
  readonly interceptionMode?: "REDIRECT" | "TPROXY";
  readonly proxyMetadata?: Readonly<Record<string, string>>;
  /** Variant of the proxy's image; "default" for the plain one. */
  readonly imageType?: string;
  readonly statsInclusionPrefixes?: readonly string[];
  readonly statsInclusionSuffixes?: readonly string[];
  readonly statsInclusionRegexps?: readonly string[];
}

interface FieldRule {
  readonly read: (value: unknown) => ProxySettings;
  readonly description: string;
}

const fail = (message: string): never => {
  throw new Error(message);
};

const wholeNumber = (value: unknown, maximum: number): number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= maximum
    ? value
    : fail(`is not a whole number from 0 to ${maximum}`);

const flag = (value: unknown): boolean => (typeof value === "boolean" ? value : fail("is neither true nor false"));

const units: ReadonlyMap<string, number> = new Map([
  ["h", 3600],
  ["m", 60],
  ["s", 1],
  ["ms", 0.001],
]);

/** A duration such as "5s" or "1m30s", in whole seconds, rounded up. */
const seconds = (value: unknown): number => {
  if (typeof value !== "string" || !/^(\d+(\.\d+)?(h|m|s|ms))+$/.test(value) || value.length > 30)
    return fail('is not a duration such as "5s"');
  let total = 0;
  for (const [, amount, unit] of value.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g))
    total += Number(amount) * units.get(unit!)!;
  return total <= 86400 ? Math.ceil(total) : fail("is longer than a day");
};

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const strings = (value: unknown, parser: parse.Parser<readonly string[]>): readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string")
    ? value.flatMap((item) => parser(item))
    : fail("is not a list of strings");

const environment = (value: unknown): Readonly<Record<string, string>> => {
  if (!isObject(value)) return fail("is not an object");
  return Object.fromEntries(
    Object.entries(value).map(([name, text]) => {
      if (!/^[A-Za-z_.-][\w.-]*$/.test(name))
        fail(`has the key "${name}", which is not a name of an environment variable`);
      return typeof text === "string" || typeof text === "number" || typeof text === "boolean"
        ? [name, String(text)]
        : fail(`has no text for "${name}"`);
    }),
  );
};

const statsMatcher = (value: unknown): ProxySettings => {
  if (!isObject(value)) return fail("is not an object");
  const settings: Record<string, readonly string[]> = {};
  for (const [field, list] of Object.entries(value)) {
    if (field === "inclusionPrefixes") settings["statsInclusionPrefixes"] = strings(list, parse.names);
    else if (field === "inclusionSuffixes") settings["statsInclusionSuffixes"] = strings(list, parse.names);
    else if (field === "inclusionRegexps") settings["statsInclusionRegexps"] = strings(list, parse.patterns);
    else fail(`has the unknown field "${field}"`);
  }
  return settings;
};

const image = (value: unknown): ProxySettings => {
  if (!isObject(value)) return fail("is not an object");
  const settings: { imageType?: string } = {};
  for (const [field, type] of Object.entries(value)) {
    if (field !== "imageType") fail(`has the unknown field "${field}"`);
    else if (typeof type !== "string" || !/^\w[\w.-]{0,62}$/.test(type)) fail("has an imageType that cannot end a tag");
    else settings.imageType = type;
  }
  return settings;
};

export const proxyConfigFields: ReadonlyMap<string, FieldRule> = new Map<string, FieldRule>([
  [
    "concurrency",
    {
      read: (value) => ({ concurrency: wholeNumber(value, 1024) }),
      description: "Worker threads of the proxy; 0 means one for each core of the node.",
    },
  ],
  [
    "holdApplicationUntilProxyStarts",
    {
      read: (value) => ({ holdApplicationUntilProxyStarts: flag(value) }),
      description:
        "Starts the application only once the proxy is ready. The proxy then is a native sidecar with a startup probe.",
    },
  ],
  [
    "terminationDrainDuration",
    {
      read: (value) => ({ terminationDrainSeconds: seconds(value) }),
      description: "How long an ending pod's proxy goes on serving (default `5s`), at most the pod's grace period.",
    },
  ],
  [
    "drainDuration",
    {
      read: (value) => ({ drainSeconds: seconds(value) }),
      description: "Envoy's drain time for connections of a changed listener (default `45s`).",
    },
  ],
  [
    "interceptionMode",
    {
      read: (value) => ({
        interceptionMode:
          value === "REDIRECT" || value === "TPROXY" ? value : fail('is neither "REDIRECT" nor "TPROXY"'),
      }),
      description: "As the annotation `sidecar.istio.io/interceptionMode`.",
    },
  ],
  [
    "proxyMetadata",
    {
      read: (value) => ({ proxyMetadata: environment(value) }),
      description: "Further environment variables of the proxy's container.",
    },
  ],
  [
    "image",
    {
      read: image,
      description: "`imageType`: variant of the proxy's image, such as `debug`: what its tag ends in after a dash.",
    },
  ],
  [
    "proxyStatsMatcher",
    {
      read: statsMatcher,
      description:
        "`inclusionPrefixes`, `inclusionSuffixes`, `inclusionRegexps`: as the annotations `sidecar.istio.io/statsInclusion…`.",
    },
  ],
]);

/**
 * Reads an object of the shape of Istio's ProxyConfig. Throws an Error that names the field; a field injection does not
 * honour is an error, since a setting that silently does nothing is worse.
 */
export const readProxyConfig = (config: unknown): ProxySettings => {
  if (config === null || config === undefined) return {};
  if (!isObject(config)) return fail("it is not a YAML object");
  let settings: ProxySettings = {};
  for (const [field, value] of Object.entries(config)) {
    const rule = proxyConfigFields.get(field) ?? fail(`the field ${field} is not supported`);
    try {
      settings = { ...settings, ...rule.read(value) };
    } catch (error) {
      fail(`the field ${field} ${(error as Error).message}`);
    }
  }
  return settings;
};

export const parseProxyConfig: parse.Parser<ProxySettings> = (text) => {
  let config: unknown;
  try {
    config = parseYaml(text, { maxAliasCount: 0 });
  } catch {
    return fail("it is not YAML");
  }
  return readProxyConfig(config);
};

/** The settings of a ProxyConfig resource. */
export const proxySettingsOf = (fields: ProxyConfigFields | undefined): ProxySettings => ({
  ...(fields?.concurrency === undefined ? {} : { concurrency: fields.concurrency }),
  ...(fields?.environmentVariables === undefined ? {} : { proxyMetadata: fields.environmentVariables }),
  ...(fields?.image?.imageType ? { imageType: fields.image.imageType } : {}),
});

/** `over` wins field by field, and key by key in proxyMetadata. */
export const mergeProxySettings = (under: ProxySettings, over: ProxySettings): ProxySettings => ({
  ...under,
  ...over,
  ...(under.proxyMetadata === undefined && over.proxyMetadata === undefined
    ? {}
    : { proxyMetadata: { ...under.proxyMetadata, ...over.proxyMetadata } }),
});
