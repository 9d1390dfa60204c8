import { LineCounter, parseAllDocuments } from "yaml";
import { locate } from "./locate.js";

export interface Location {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

/** A Kubernetes object of a file or of a cluster. */
export interface SourceObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** "" for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** Of a field path; of a field that is not there, the nearest one around it. Nothing for objects of a cluster. */
  readonly locate: (path: string) => Location | undefined;
}

export interface Unreadable {
  readonly message: string;
  readonly location: Location;
}

export interface ReadDocuments {
  readonly objects: readonly SourceObject[];
  readonly unreadable: readonly Unreadable[];
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** An object by its identity; what is no Kubernetes object is passed over, since directories hold other YAML too. */
export const objectOf = (
  value: unknown,
  namespace: string,
  locateIn: SourceObject["locate"],
): readonly SourceObject[] => {
  if (!isObject(value)) return [];
  const [apiVersion, kind] = [textOf(value["apiVersion"]), textOf(value["kind"])];
  if (Array.isArray(value["items"]) && kind.endsWith("List"))
    return value["items"].flatMap((item, index) =>
      objectOf(
        kind === "List" || !isObject(item) ? item : { apiVersion, kind: kind.slice(0, -4), ...item },
        namespace,
        (path) => locateIn(`items[${index}]${path === "" ? "" : `.${path}`}`),
      ),
    );
  if (apiVersion === "" || kind === "") return [];
  const metadata = isObject(value["metadata"]) ? value["metadata"] : {};
  const home = kind === "Namespace" ? "" : textOf(metadata["namespace"]) || namespace;
  return [
    {
      apiVersion,
      kind,
      namespace: home,
      name: textOf(metadata["name"]),
      value: home === "" ? value : { ...value, metadata: { ...metadata, namespace: home } },
      locate: locateIn,
    },
  ];
};

/** The objects of a YAML text with where they stand. `namespace` is for those that name none. Never throws. */
export const readDocumentsOf = (text: string, file: string, namespace: string): ReadDocuments => {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { merge: true, lineCounter: lines });
  const objects: SourceObject[] = [];
  const unreadable: Unreadable[] = [];
  const at = (offset: number): Location => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col) };
  };
  for (const document of Array.isArray(documents) ? documents : []) {
    const [fault] = document.errors;
    if (fault !== undefined) {
      unreadable.push({ message: fault.message.split("\n")[0] ?? "", location: at(fault.pos[0]) });
      continue;
    }
    try {
      const value: unknown = document.toJS({ maxAliasCount: 100 });
      objects.push(
        ...objectOf(value, namespace, (path) => {
          const offset = locate(document.contents, path);
          return offset === undefined ? undefined : at(offset);
        }),
      );
    } catch (error) {
      unreadable.push({ message: (error as Error).message, location: at(document.range[0]) });
    }
  }
  return { objects, unreadable };
};
