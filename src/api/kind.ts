import type { V1ObjectMeta } from "@kubernetes/client-node";
import type { Static, TSchema } from "typebox";
import type { Json } from "./json.js";

/** A fault refuses the resource at admission; a warning goes with an accepted one: legal, but surely not meant. */
export interface Finding {
  readonly severity: "error" | "warning";
  /** Field path as the API server writes it: `spec.http[0].route[1].weight`. */
  readonly path: string;
  /** Value, what is wrong with it, and the cure, in one line without the path. */
  readonly message: string;
}

/** One condition of a resource's status, as in Kubernetes and Istio. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  /** RFC 3339. */
  readonly lastTransitionTime?: string;
}

/** A resource of the configuration API as the API server sends it and as YAML holds it. */
export interface ConfigObject<Spec> {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: Json<V1ObjectMeta>;
  readonly spec: Spec;
  readonly status?: { readonly conditions?: readonly Condition[] };
}

/** A rule in the Common Expression Language that the API server evaluates, on the whole spec (`self`). */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
}

export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly jsonPath: string;
  readonly description: string;
  readonly priority?: number;
}

/**
 * Everything about one kind, in the file named after it: the schema is the source of the type, of validation and of the
 * CustomResourceDefinition alike.
 */
export interface KindDefinition<Schema extends TSchema = TSchema> {
  readonly kind: string;
  readonly group: string;
  readonly plural: string;
  readonly shortNames: readonly string[];
  /** Served versions, all of the same shape; the first is stored and watched. */
  readonly versions: readonly string[];
  readonly description: string;
  readonly spec: Schema;
  readonly rules: readonly CelRule[];
  readonly printerColumns: readonly PrinterColumn[];
  /** What the schema cannot say, of this resource alone; it is only called for a spec that fits the schema. */
  readonly check: (object: ConfigObject<Static<Schema>>) => readonly Finding[];
  /**
   * Of a kind that restricts: what is in force in place of an object that has errors and no earlier version, so that its
   * fault opens nothing. Undefined for nothing.
   */
  readonly closed?: (object: ConfigObject<unknown>) => ConfigObject<unknown> | undefined;
}

/** Keeps the schema's own type, so that `Static` of it is exact. */
export const defineKind = <Schema extends TSchema>(definition: KindDefinition<Schema>): KindDefinition<Schema> =>
  definition;
