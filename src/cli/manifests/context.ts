import { createHash } from "node:crypto";
import type { Values } from "./values.js";

/** A Kubernetes object as it is applied. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/**
 * What the manifests are made from. They use values only whole or within text, never compare or compute with them: so the
 * Helm chart comes from the same functions, with the values' names in the place of values.
 */
export interface Context {
  readonly values: Values;
  /** "" for the revision "default", otherwise "-" and the revision. */
  readonly suffix: string;
  /** Whether this revision serves the label istio-injection=enabled too. */
  readonly defaultRevision: boolean;
  /** JSON text of a value. */
  readonly embed: (value: unknown) => string;
  /** SHA-256 of a text in hex. */
  readonly digest: (text: string) => string;
}

export const namespace = "istio-system";

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, item]) => [name, sorted(item)]),
  );
};

/** JSON as Helm's toPrettyJson writes it: sorted keys, and characters that matter to HTML escaped. */
export const prettyJson = (value: unknown): string =>
  JSON.stringify(sorted(value), undefined, 2).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

export const contextOf = (values: Values): Context => ({
  values,
  suffix: values.revision === "default" ? "" : `-${values.revision}`,
  defaultRevision: values.revision === "default",
  embed: prettyJson,
  digest: (text) => createHash("sha256").update(text).digest("hex"),
});

export const managedBy = { "app.kubernetes.io/managed-by": "heddle", "app.kubernetes.io/part-of": "heddle" } as const;

/** Labels of every object of one revision. Pruning and uninstalling go by them. */
export const labelsOf = ({ values }: Context): Readonly<Record<string, string>> => ({
  ...managedBy,
  "app.kubernetes.io/name": "heddled",
  "istio.io/rev": values.revision,
});
