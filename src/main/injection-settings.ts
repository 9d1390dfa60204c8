import { parse as parseYaml } from "yaml";
import { readProxyConfig } from "../injection/proxy-config.js";
import { type InjectionTemplate, parseTemplate } from "../injection/template.js";
import type { InjectionValues } from "../injection/types.js";

/** What pods are injected with. */
export interface InjectionSettings {
  readonly template: InjectionTemplate;
  readonly values: InjectionValues;
}

/** The keys of ConfigMap `istio-sidecar-injector`; `config` is empty for the built-in template. */
export interface InjectionTexts {
  readonly values?: string;
  readonly config?: string;
  readonly overlays?: string;
}

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An object in YAML or JSON, empty if there is no text. Throws an Error that begins with `what`. */
export const readFields = (text: string, what: string): Fields => {
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new Error(`${what}: is not YAML: ${(error as Error).message.split("\n")[0]}`);
  }
  if (value === null || value === undefined) return {};
  if (!isObject(value)) throw new Error(`${what}: is not an object; write YAML or JSON`);
  return value;
};

type Rule = readonly [isRight: (value: unknown) => boolean, cure: string];

const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
const oneOf = (...choices: readonly string[]): Rule => [
  (value) => typeof value === "string" && choices.includes(value),
  `use ${choices.join(", ")}`,
];
const named: Rule = [
  (value) => Array.isArray(value) && value.every((item) => isObject(item) && isText(item["name"])),
  "write a list of objects with a name",
];
const anObject: Rule = [isObject, "write an object"];

const rules: Readonly<Record<string, Rule>> = {
  proxyImage: [isText, "name an image"],
  initImage: [isText, "name an image"],
  imagePullPolicy: oneOf("Always", "IfNotPresent", "Never"),
  imagePullSecrets: named,
  resources: anObject,
  initResources: anObject,
  logLevel: oneOf("trace", "debug", "info", "warning", "error", "critical", "off"),
  env: named,
  defaultConfig: anObject,
};

const shown = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 120);

const checkProxyConfig = (config: unknown, field: string): void => {
  try {
    readProxyConfig(config);
  } catch (error) {
    throw new Error(`${field}: ${(error as Error).message}; correct it`);
  }
};

const readValues = (fields: Fields): InjectionValues => {
  for (const field of ["proxyImage", "initImage"])
    if (fields[field] === undefined) throw new Error(`values.${field}: is missing; name an image`);
  for (const [field, value] of Object.entries(fields)) {
    const rule = Object.hasOwn(rules, field) ? rules[field] : undefined;
    if (rule === undefined) throw new Error(`values.${field}: is not known; remove it`);
    if (!rule[0](value)) throw new Error(`values.${field}: ${shown(value)}; ${rule[1]}`);
  }
  checkProxyConfig(fields["defaultConfig"], "values.defaultConfig");
  return fields as unknown as InjectionValues;
};

/**
 * Reads what pods are injected with; the mesh configuration's `defaultConfig`, `meshDefault`, holds where the values have
 * none. Throws an
 * Error that names field, value and cure.
 */
export const readInjectionSettings = (
  texts: InjectionTexts,
  builtInTemplate: string,
  meshDefault: Readonly<Record<string, unknown>>,
): InjectionSettings => {
  const values = readValues(readFields(texts.values ?? "", "values"));
  checkProxyConfig(meshDefault, "meshConfig.defaultConfig");
  const template = (texts.config ?? "").trim() === "" ? builtInTemplate : texts.config!;
  return {
    values: { ...values, defaultConfig: values.defaultConfig ?? meshDefault },
    template: parseTemplate(template, texts.overlays),
  };
};
