import type { TSchema } from "typebox";
import { Compile } from "typebox/compile";
import type { TValidationError } from "typebox/error";
import { Format } from "typebox/format";
import { Settings } from "typebox/system";
import { parseDuration } from "./duration.js";
import { error, member, show } from "./findings.js";
import type { Finding } from "./kind.js";
import { suggest } from "./suggest.js";

// All faults are to be told at once, within reason: a hostile value may have any number of them.
Settings.Set({ maxErrors: 32 });
Format.Set("duration", (text) => parseDuration(text) !== undefined);

const articles: Readonly<Record<string, string>> = {
  string: "a text; quote it if it is one",
  integer: "a whole number",
  number: "a number",
  boolean: "neither true nor false",
  array: "a list",
  object: "an object",
};

const typeMessage = (type: unknown): string => {
  const article = articles[String(type)] ?? `of type ${String(type)}`;
  return article.startsWith("neither") ? `is ${article}` : `is not ${article}`;
};

const plural = (count: number | bigint, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

/** What is wrong with the value and the cure; undefined for what is told by another error too. */
const messageOf = (fault: TValidationError, value: unknown): string | undefined => {
  const shown = show(value);
  switch (fault.keyword) {
    case "type":
      return `${shown} ${typeMessage(fault.params.type)}`;
    case "enum": {
      const allowed = fault.params.allowedValues.map(String);
      return `${shown} is none of the values there are; ${suggest(typeof value === "string" ? value : "", allowed)}`;
    }
    case "format":
      return fault.params.format === "duration"
        ? `${shown} is not a duration; write such as "1.5s", "100ms" or "1h"`
        : `${shown} is not a ${fault.params.format}; correct it`;
    case "pattern":
      return `${shown} does not fit ${fault.params.pattern}; correct it`;
    case "minimum":
      return `${shown} is too small; write at least ${fault.params.limit}`;
    case "maximum":
      return `${shown} is too large; write at most ${fault.params.limit}`;
    case "minLength":
      return `${shown} is too short; write at least ${plural(fault.params.limit, "character")}`;
    case "maxLength":
      return `${shown} is too long; write at most ${plural(fault.params.limit, "character")}`;
    case "minItems":
      return `${shown} has too few; give at least ${plural(fault.params.limit, "item")}`;
    case "anyOf":
    case "oneOf":
      return `${shown} fits none of the forms there are; correct it`;
    case "boolean":
    case "additionalProperties":
    case "required":
      return undefined;
    default:
      return `${shown} is wrong (${fault.keyword}); correct it`;
  }
};

const walk = (root: unknown, pointer: string, path: string): { readonly value: unknown; readonly path: string } =>
  pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce<{ readonly value: unknown; readonly path: string }>(
      (at, name) => ({
        value: (at.value as Readonly<Record<string, unknown>> | null | undefined)?.[name],
        path: Array.isArray(at.value) ? `${at.path}[${name}]` : member(at.path, name),
      }),
      { value: root, path },
    );

/** Checks values against one schema, which is compiled at the first call: every fault with path, value and cure. */
export const createSchemaCheck = (schema: TSchema): ((value: unknown, path: string) => readonly Finding[]) => {
  let compiled: ReturnType<typeof Compile> | undefined;
  return (value, path) => {
    compiled ??= Compile(schema);
    if (compiled.Check(value)) return [];
    const told = new Map<string, Finding>();
    const tell = (at: string, message: string): void => {
      if (!told.has(at)) told.set(at, error(at, message));
    };
    for (const fault of compiled.Errors(value)) {
      const found = walk(value, fault.instancePath, path);
      if (fault.keyword === "required")
        for (const name of fault.params.requiredProperties) tell(member(found.path, name), "is missing; add it");
      const message = messageOf(fault, found.value);
      if (message !== undefined) tell(found.path, message);
    }
    return told.size > 0 ? [...told.values()] : [error(path, `${show(value)} does not fit the schema; correct it`)];
  };
};
