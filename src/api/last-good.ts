import type { Finding } from "./kind.js";
import { type ConfigurationKind, definitionOf, isConfigurationKind } from "./kinds.js";
import type { ObjectEvent } from "./kubernetes.js";
import { readConfigObject } from "./validate.js";

/** What has become of a change of one resource of the configuration API. */
export interface Judgement {
  readonly kind: ConfigurationKind;
  readonly namespace: string;
  readonly name: string;
  /** `metadata.generation` of the version that was judged. */
  readonly generation: number | undefined;
  readonly findings: readonly Finding[];
  /** The version judged, one before it that had no error, or none: the resource does nothing then. */
  readonly inForce: "judged" | "earlier" | "none";
}

export interface Kept {
  /** What the model may take: resources without error, in the form that their types promise. */
  readonly events: readonly ObjectEvent[];
  /** One for each resource that came or changed. */
  readonly judgements: readonly Judgement[];
}

/**
 * Holds back resources that have errors though they got in, by an API server without the webhook or from a file: the last
 * version without error stays in force, and nothing else is touched.
 */
export const createLastGood = (): ((events: readonly ObjectEvent[]) => Kept) => {
  const inForce = new Set<string>();

  const judge = (event: ObjectEvent, kind: ConfigurationKind): { event?: ObjectEvent; judgement?: Judgement } => {
    const { namespace, name } = event;
    const key = `${kind}/${namespace}/${name}`;
    if (event.object === undefined) return inForce.delete(key) ? { event } : {};
    const { object, findings } = readConfigObject(definitionOf(kind), event.object);
    const about = { kind, namespace, name, generation: event.object.metadata?.generation, findings };
    if (object === undefined) return { judgement: { ...about, inForce: inForce.has(key) ? "earlier" : "none" } };
    inForce.add(key);
    // The object was read by the definition of its own kind.
    return { event: { ...event, object } as ObjectEvent, judgement: { ...about, inForce: "judged" } };
  };

  return (events) => {
    const results = events.map((event) => (isConfigurationKind(event.kind) ? judge(event, event.kind) : { event }));
    return {
      events: results.flatMap(({ event }) => event ?? []),
      judgements: results.flatMap(({ judgement }: { readonly judgement?: Judgement }) => judgement ?? []),
    };
  };
};
