import { parseAllDocuments } from "yaml";
import { configurationKindNames, definitionOf } from "../api/kinds.js";
import type { Kind, ObjectEvent } from "../api/kubernetes.js";

/** The apiVersions of each kind that are read, the current one first. */
const versions: ReadonlyMap<string, readonly string[]> = new Map([
  ["Namespace", ["v1"]],
  ["Service", ["v1"]],
  ["EndpointSlice", ["discovery.k8s.io/v1"]],
  ["Pod", ["v1"]],
  ["Node", ["v1"]],
  ...configurationKindNames.map((kind): [string, readonly string[]] => {
    const { group, versions } = definitionOf(kind);
    return [kind, versions.map((version) => `${group}/${version}`)];
  }),
]);
const clusterScoped: ReadonlySet<string> = new Set(["Namespace", "Node"]);

const isKind = (kind: string): kind is Kind => versions.has(kind);

/** Kinds of other projects may have the same name; one of the mesh's own groups in a version unknown is a mistake. */
const groupOf = (apiVersion: unknown): string =>
  typeof apiVersion === "string" && apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const readObject = (value: unknown, where: string): readonly ObjectEvent[] => {
  if (value === null || value === undefined) return [];
  if (!isObject(value)) throw new Error(`${where}: is not an object; write apiVersion, kind and metadata`);
  const { apiVersion, kind, metadata, items } = value;
  if (typeof kind !== "string") throw new Error(`${where}: kind is missing; add it`);
  if (Array.isArray(items) && kind.endsWith("List"))
    return items.flatMap((item, index) => {
      const inherited =
        kind !== "List" && isObject(item) && item["kind"] === undefined
          ? { apiVersion, kind: kind.slice(0, -4), ...item }
          : item;
      return readObject(inherited, `${where}, item ${index + 1}`);
    });
  const known = versions.get(kind) ?? [];
  if (!isKind(kind) || (groupOf(apiVersion) !== "" && groupOf(apiVersion) !== groupOf(known[0]))) return [];
  if (!known.some((version) => version === apiVersion))
    throw new Error(`${where}: apiVersion ${JSON.stringify(apiVersion)} of kind ${kind}; write ${known.join(" or ")}`);
  const { name, namespace } = isObject(metadata) ? metadata : {};
  if (typeof name !== "string" || name === "")
    throw new Error(`${where}: metadata.name of the ${kind} is missing; add it`);
  if (namespace !== undefined && typeof namespace !== "string")
    throw new Error(`${where}: metadata.namespace of ${kind} ${name} is not a string; quote it`);
  if (clusterScoped.has(kind)) return [{ kind, namespace: "", name, object: value } as ObjectEvent];
  const home = namespace ?? "default";
  const object = { ...value, metadata: { ...(metadata as object), namespace: home } };
  return [{ kind, namespace: home, name, object } as unknown as ObjectEvent];
};

/**
 * The objects of a YAML file of several documents that the mesh reads; other kinds are passed over. `file` is for
 * messages. Throws an Error that names file, document and cure.
 */
export const readDocuments = (text: string, file: string): readonly ObjectEvent[] => {
  const documents = parseAllDocuments(text, { merge: true });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document, index) => {
    const where = `${file}, document ${index + 1}`;
    const fault = document.errors[0];
    if (fault !== undefined) throw new Error(`${where}: ${fault.message.split("\n")[0]}`);
    return readObject(document.toJS({ maxAliasCount: 100 }), where);
  });
};
