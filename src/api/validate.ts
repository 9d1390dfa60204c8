import { error, errorIf, show } from "./findings.js";
import type { ConfigObject, Finding } from "./kind.js";
import { type AnyKindDefinition, configurationKinds } from "./kinds.js";
import { labelNameFault } from "./names.js";
import { isObject, nodeOf, normalize } from "./normalize.js";
import { createSchemaCheck } from "./schema-findings.js";

export interface ReadObject {
  /** The object in the form that its type promises, if it has no error. */
  readonly object: ConfigObject<unknown> | undefined;
  readonly findings: readonly Finding[];
}

const schemaChecks = new WeakMap<object, ReturnType<typeof createSchemaCheck>>();

const schemaCheckOf = (definition: AnyKindDefinition): ReturnType<typeof createSchemaCheck> => {
  const known = schemaChecks.get(definition);
  if (known !== undefined) return known;
  const made = createSchemaCheck(definition.spec);
  schemaChecks.set(definition, made);
  return made;
};

const objectNameFault = (name: string): string | undefined =>
  name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name)
    ? undefined
    : `${show(name)} is no name of a resource; use lower-case letters, digits, dashes and dots`;

const checkIdentity = (
  { kind, group, versions }: AnyKindDefinition,
  object: Readonly<Record<string, unknown>>,
): readonly Finding[] => {
  const { apiVersion, metadata } = object;
  const served = versions.map((version) => `${group}/${version}`);
  const { name, generateName, namespace } = isObject(metadata) ? metadata : {};
  return [
    ...(object["kind"] === undefined || object["kind"] === kind
      ? []
      : [error("kind", `${show(object["kind"])} is another kind; write ${kind}`)]),
    ...(apiVersion === undefined || served.some((version) => version === apiVersion)
      ? []
      : [error("apiVersion", `${show(apiVersion)} is not served for ${kind}; write ${served.join(" or ")}`)]),
    ...(typeof name === "string" && name !== ""
      ? errorIf("metadata.name", objectNameFault(name))
      : typeof generateName === "string" && generateName !== ""
        ? []
        : [error("metadata.name", `${show(name ?? "")} is no name; give the ${kind} one`)]),
    ...(namespace === undefined || namespace === null
      ? []
      : typeof namespace === "string"
        ? errorIf("metadata.namespace", labelNameFault(namespace))
        : [error("metadata.namespace", `${show(namespace)} is not a text; write the name of a namespace`)]),
  ];
};

const runCheck = (definition: AnyKindDefinition, object: ConfigObject<unknown>): readonly Finding[] => {
  try {
    return definition.check(object as ConfigObject<never>);
  } catch (failure) {
    // A check that fails proves nothing about the resource, so it must not let it pass.
    return [error("spec", `the check of ${definition.kind} failed: ${show((failure as Error).message)}; report this`)];
  }
};

/** More would hide the first ones, and no client shows them. */
const mostFindings = 50;

const limited = (findings: readonly Finding[]): readonly Finding[] => {
  if (findings.length <= mostFindings) return findings;
  const errors = findings.filter(({ severity }) => severity === "error");
  const kept = [...errors, ...findings.filter(({ severity }) => severity === "warning")].slice(0, mostFindings);
  return [
    ...kept,
    { severity: kept[0]!.severity, path: "spec", message: `${findings.length - mostFindings} more like these` },
  ];
};

const hasError = (findings: readonly Finding[]): boolean => findings.some(({ severity }) => severity === "error");

/** Reads what claims to be an object of the kind, as JSON or YAML gives it. Never throws. */
export const readConfigObject = (definition: AnyKindDefinition, value: unknown): ReadObject => {
  if (!isObject(value))
    return { object: undefined, findings: [error("", `${show(value)} is not an object; write a ${definition.kind}`)] };
  const identity = checkIdentity(definition, value);
  const { value: spec, findings: read } = normalize(nodeOf(definition.spec), value["spec"] ?? {}, "spec");
  const misfits = schemaCheckOf(definition)(spec, "spec");
  const object = (spec === value["spec"] ? value : { ...value, spec }) as unknown as ConfigObject<unknown>;
  const own = hasError([...identity, ...read, ...misfits]) ? [] : runCheck(definition, object);
  const findings = limited([...identity, ...misfits, ...own, ...read]);
  return { object: hasError(findings) ? undefined : object, findings };
};

/** Everything wrong with an object of the kind, and what is surely not meant. Never throws. */
export const validateObject = (definition: AnyKindDefinition, object: unknown): readonly Finding[] =>
  readConfigObject(definition, object).findings;

/** Compiles every schema, so that the first requests do not wait for it. */
export const prepareValidation = (): void => {
  for (const definition of Object.values(configurationKinds)) schemaCheckOf(definition)({}, "spec");
};
