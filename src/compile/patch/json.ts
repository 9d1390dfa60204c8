import {
  type DescField,
  type DescMessage,
  fromJson,
  getOption,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { member, show } from "../../api/findings.js";
import type { Finding } from "../../api/kind.js";
import { suggest } from "../../api/suggest.js";
import { disallowed_by_default } from "../../proto/envoy/annotations/deprecation_pb.js";
import { envoyTypes, isTypedStruct, messageType, typeNameOf } from "./types.js";

type Report = (path: string, message: string, severity?: Finding["severity"]) => void;

/** Some messages have so many fields that to list them helps nobody. */
const longestHint = 200;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const fieldNamed = (type: DescMessage, key: string): DescField | undefined =>
  type.fields.find(({ name, jsonName }) => name === key || jsonName === key);

/** The library's own judgement of a value that has no fields. */
const tryDecode = (type: DescMessage, json: JsonValue, shown: unknown, path: string, report: Report): void => {
  try {
    fromJson(type, json, { registry: envoyTypes() });
  } catch (error) {
    const reason = (error as Error).message
      .replace(/^cannot decode (field|message|enum) \S+ from JSON: /, "")
      .replace(/^cannot decode (field|message|enum) \S+ from JSON$/, "not a value of this field");
    report(path, `${show(shown)}: ${reason}`);
  }
};

const walkTypedStruct = (json: JsonObject, path: string, report: Report): void => {
  const url = json["type_url"] ?? json["typeUrl"];
  if (typeof url !== "string" || url === "") {
    report(member(path, "type_url"), "a TypedStruct says here which type its value is of; add it");
    return;
  }
  const type = messageType(typeNameOf(url));
  const value = json["value"];
  // Envoy may be newer than these descriptors, so that only the proxy's judgement counts.
  if (type !== undefined && isObject(value))
    walk(type, value, member(path, "value"), (at, message) => report(at, message, "warning"));
};

const walkAny = (json: JsonValue, path: string, report: Report): void => {
  if (!isObject(json)) {
    report(path, `${show(json)} is not an object; write the message with its @type`);
    return;
  }
  if (Object.keys(json).length === 0) return;
  const url = json["@type"];
  if (typeof url !== "string" || url === "") {
    report(member(path, "@type"), "it says which type the message is of; add it, as type.googleapis.com/<name>");
    return;
  }
  const { "@type": _type, ...rest } = json;
  const name = typeNameOf(url);
  const type = messageType(name);
  if (type === undefined) {
    const cure = /\.v[12](alpha\d*)?\./.test(name)
      ? "Envoy no longer has version 2 of its API; use the v3 type"
      : "correct it, or use xds.type.v3.TypedStruct with this name as type_url if the proxy knows it";
    report(member(path, "@type"), `${show(url)} is not a type of the Envoy API; ${cure}`);
  } else if (isTypedStruct(name)) {
    walk(type, rest, path, report);
    walkTypedStruct(json, path, report);
  } else if (type.typeName.startsWith("google.protobuf."))
    tryDecode(messageType("google.protobuf.Any")!, json, rest["value"], path, report);
  else walk(type, rest, path, report);
};

const walkMessage = (type: DescMessage, json: JsonValue, path: string, report: Report): void => {
  if (type.typeName === "google.protobuf.Any") walkAny(json, path, report);
  else if (type.typeName.startsWith("google.protobuf.") && type.typeName !== "google.protobuf.Empty")
    tryDecode(type, json, json, path, report);
  else walk(type, json, path, report);
};

const walkField = (type: DescMessage, field: DescField, json: JsonValue, path: string, report: Report): void => {
  if (field.fieldKind === "list") {
    if (!Array.isArray(json)) report(path, `${show(json)} is not a list; write it as one`);
    for (const [index, item] of Array.isArray(json) ? json.entries() : [])
      if (field.listKind === "message") walkMessage(field.message, item, `${path}[${index}]`, report);
      else tryDecode(type, { [field.name]: [item] }, item, `${path}[${index}]`, report);
  } else if (field.fieldKind === "map") {
    if (!isObject(json)) report(path, `${show(json)} is not an object; write it as one`);
    for (const [key, item] of isObject(json) ? Object.entries(json) : [])
      if (field.mapKind === "message") walkMessage(field.message, item, member(path, key), report);
      else tryDecode(type, { [field.name]: { [key]: item } }, item, member(path, key), report);
  } else if (field.fieldKind === "message") walkMessage(field.message, json, path, report);
  else tryDecode(type, { [field.name]: json }, json, path, report);
};

const walk = (type: DescMessage, json: JsonValue, path: string, report: Report): void => {
  if (!isObject(json)) {
    report(path, `${show(json)} is not an object; ${type.typeName} is one`);
    return;
  }
  const taken = new Map<string, string>();
  for (const [key, value] of Object.entries(json)) {
    const at = member(path, key);
    const field = fieldNamed(type, key);
    if (field === undefined) {
      const hint = suggest(
        key,
        type.fields.map(({ name }) => name),
      );
      report(at, `${type.typeName} has no such field; ${hint.length > longestHint ? "remove it" : hint}`);
      continue;
    }
    if (value === null) continue;
    const group = field.oneof?.name ?? field.name;
    const other = taken.get(group);
    if (other !== undefined) report(at, `${other} is set too, and only one of them can be; remove one`);
    taken.set(group, key);
    if (field.deprecated && getOption(field, disallowed_by_default))
      report(at, "Envoy no longer takes this field; use what its documentation names instead");
    else if (field.deprecated)
      report(at, "Envoy deprecates this field; use what its documentation names instead", "warning");
    walkField(type, field, value, at, report);
  }
};

/** What is wrong with the JSON form of a message, each with the path of the field. */
export const jsonFindings = (type: DescMessage, json: unknown, path: string): readonly Finding[] => {
  const findings: Finding[] = [];
  walk(type, json as JsonValue, path, (at, message, severity = "error") =>
    findings.push({ severity, path: at, message }),
  );
  return findings;
};
