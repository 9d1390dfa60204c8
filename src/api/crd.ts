import type { TSchema } from "typebox";
import type { CelRule, PrinterColumn } from "./kind.js";
import type { AnyKindDefinition } from "./kinds.js";

type Json = Readonly<Record<string, unknown>>;

/** A definition as apiextensions.k8s.io/v1 has it, without labels and annotations. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string };
  readonly spec: Json;
}

/** What says the same in JSON Schema and in a structural schema. */
const kept: ReadonlySet<string> = new Set([
  ...["type", "description", "enum", "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "default"],
  ...["minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required", "nullable"],
]);
/** Said by other means: the API server itself drops unknown fields, with a warning. */
const dropped: ReadonlySet<string> = new Set(["additionalProperties", "patternProperties"]);

const anything = { "x-kubernetes-preserve-unknown-fields": true } as const;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const mapSchema = (patterns: Json, path: string): Json => {
  const [values] = Object.values(patterns);
  if (!isObject(values) || Object.keys(patterns).length !== 1)
    throw new Error(`${path}: a map has one schema for its values`);
  return Object.keys(values).length === 0 ? anything : { additionalProperties: structural(values, `${path}{}`) };
};

/** Throws an Error for what a structural schema cannot say: the kind has to say it by rules of its own. */
const structural = (schema: Json, path: string): Json => {
  if (Object.keys(schema).every((key) => key === "description")) return { ...schema, ...anything };
  const parts = Object.entries(schema).map(([key, value]): Json => {
    if (dropped.has(key)) return key === "patternProperties" && isObject(value) ? mapSchema(value, path) : {};
    if (key === "properties" && isObject(value))
      return {
        properties: Object.fromEntries(
          Object.entries(value).map(([name, property]) => [name, structural(property as Json, `${path}.${name}`)]),
        ),
      };
    if (key === "items" && isObject(value)) return { items: structural(value, `${path}[]`) };
    if (kept.has(key) || key.startsWith("x-kubernetes-")) return { [key]: value };
    throw new Error(`${path}: the schema's keyword ${key} has no place in a CustomResourceDefinition`);
  });
  return Object.assign(Array.isArray(schema["enum"]) ? { type: "string" } : {}, ...parts) as Json;
};

const text = (description: string): Json => ({ type: "string", description });
/** Istio has written 64-bit numbers as strings, and so they may be in resources that exist. */
const generation = {
  "x-kubernetes-int-or-string": true,
  description: "Generation of the resource that this is about.",
};

const status: Json = {
  type: "object",
  description: "What the mesh has made of the resource.",
  ...anything,
  properties: {
    observedGeneration: generation,
    conditions: {
      type: "array",
      description: "State of the resource; Reconciled tells whether it is in force.",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["type"],
      items: {
        type: "object",
        required: ["type", "status"],
        properties: {
          type: text("Name of the condition."),
          status: text("True, False or Unknown."),
          reason: text("Why, in one word."),
          message: text("Why, with the field at fault and the cure."),
          observedGeneration: generation,
          lastTransitionTime: { ...text("When the status last changed."), format: "date-time" },
          lastProbeTime: { ...text("When the condition was last looked at."), format: "date-time" },
        },
      },
    },
  },
};

const age: PrinterColumn = {
  name: "Age",
  type: "date",
  jsonPath: ".metadata.creationTimestamp",
  description: "Time since the resource was made.",
};
const reconciled: PrinterColumn = {
  name: "Status",
  type: "string",
  jsonPath: '.status.conditions[?(@.type=="Reconciled")].reason',
  description: "Whether the resource is in force.",
};

const columnsOf = ({ printerColumns }: AnyKindDefinition): readonly PrinterColumn[] => [
  ...printerColumns.filter(({ name }) => name !== age.name && name !== reconciled.name),
  reconciled,
  age,
];

const specOf = (definition: AnyKindDefinition): Json => {
  const schema = structural(definition.spec as TSchema & Json, "spec");
  const own = (schema["x-kubernetes-validations"] ?? []) as readonly CelRule[];
  const rules = [...own, ...definition.rules];
  return {
    ...schema,
    description: definition.description,
    ...(rules.length > 0 ? { "x-kubernetes-validations": rules } : {}),
  };
};

/** The definition that makes an API server serve the kind: all versions of one shape, the first one stored. */
export const customResourceDefinition = (definition: AnyKindDefinition): CustomResourceDefinition => {
  const { kind, group, plural, shortNames, versions, description } = definition;
  const spec = specOf(definition);
  const needsSpec = ((spec["required"] ?? []) as readonly string[]).length > 0;
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        ...(shortNames.length > 0 ? { shortNames } : {}),
        categories: ["istio-io", group.replaceAll(".", "-")],
      },
      versions: versions.map((name, index) => ({
        name,
        served: true,
        storage: index === 0,
        subresources: { status: {} },
        additionalPrinterColumns: columnsOf(definition),
        schema: {
          openAPIV3Schema: {
            type: "object",
            description,
            ...(needsSpec ? { required: ["spec"] } : {}),
            properties: { spec, status },
          },
        },
      })),
    },
  };
};
