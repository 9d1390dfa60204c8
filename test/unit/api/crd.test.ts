import { Type } from "typebox";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { customResourceDefinition } from "../../../src/api/crd.js";
import { type AnyKindDefinition, configurationKinds } from "../../../src/api/kinds.js";

type Json = Readonly<Record<string, unknown>>;

/** Every schema below this one with its path; names of properties are no keywords. */
const schemasOf = (schema: Json, path: string): readonly (readonly [string, Json])[] => [
  [path, schema],
  ...Object.entries((schema["properties"] ?? {}) as Json).flatMap(([name, property]) =>
    schemasOf(property as Json, `${path}.${name}`),
  ),
  ...["items", "additionalProperties"].flatMap((key) =>
    typeof schema[key] === "object" ? schemasOf(schema[key] as Json, `${path}[]`) : [],
  ),
];

interface Version {
  readonly name: string;
  readonly served: boolean;
  readonly storage: boolean;
  readonly schema: { readonly openAPIV3Schema: Json };
}

const versionsOf = (definition: AnyKindDefinition): readonly Version[] =>
  customResourceDefinition(definition).spec["versions"] as readonly Version[];

for (const [kind, definition] of Object.entries(configurationKinds)) {
  test(`${kind}: every version is served, one stored, all of one shape`, () => {
    const versions = versionsOf(definition);
    assert.equal(
      versions.map(({ name, served, storage }) => [name, served, storage]),
      definition.versions.map((name, index) => [name, true, index === 0]),
    );
    for (const { schema } of versions) assert.equal(schema, versions[0]!.schema);
  });

  test(`${kind}: the schema is structural and each field says what it is`, () => {
    const root = versionsOf(definition)[0]!.schema.openAPIV3Schema;
    for (const [path, schema] of schemasOf(root, "")) {
      const free = schema["x-kubernetes-preserve-unknown-fields"] || schema["x-kubernetes-int-or-string"];
      assert.ok(typeof schema["type"] === "string" || free, `${path} has a type`);
      for (const key of ["const", "anyOf", "oneOf", "allOf", "not", "patternProperties", "$ref"])
        assert.not(Object.hasOwn(schema, key), `${path} has ${key}`);
      assert.is.not(schema["additionalProperties"], false, path);
    }
    const spec = (root["properties"] as Json)["spec"] as Json;
    for (const [name, field] of Object.entries(spec["properties"] as Json))
      assert.ok((field as Json)["description"], `spec.${name} has a description`);
  });
}

const odd = (spec: ReturnType<typeof Type.Object>): AnyKindDefinition => ({
  ...configurationKinds.Sidecar,
  spec,
});

test("free-form parts keep what they hold", () => {
  const free = Type.Object({
    value: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    any: Type.Optional(Type.Unknown()),
    text: Type.Optional(Type.Enum(["a"])),
  });
  const spec = (versionsOf(odd(free))[0]!.schema.openAPIV3Schema["properties"] as Json)["spec"] as Json;
  assert.equal(spec["properties"], {
    value: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
    any: { "x-kubernetes-preserve-unknown-fields": true },
    text: { type: "string", enum: ["a"] },
  });
});

test("what a definition cannot say is an error with its path", () => {
  const union = Type.Object({ a: Type.Object({ b: Type.Union([Type.String(), Type.Integer()]) }) });
  assert.throws(() => customResourceDefinition(odd(union)), /^spec\.a\.b: the schema's keyword anyOf/);
});

test.run();
