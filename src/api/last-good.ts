import { isDeepStrictEqual } from "node:util";
import type { Condition, ConfigObject, Finding } from "./kind.js";
import { type ConfigurationKind, definitionOf, isConfigurationKind } from "./kinds.js";
import type { ObjectEvent } from "./kubernetes.js";
import { readConfigObject } from "./validate.js";

/** What has become of a change of one resource of the configuration API. */
export interface Judgement {
  readonly kind: ConfigurationKind;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string | undefined;
  /** `metadata.generation` of the version that was judged. */
  readonly generation: number | undefined;
  readonly findings: readonly Finding[];
  /**
   * The version judged, one before it that had no error, or none: the resource does nothing then, or, of a kind that
   * restricts, it is closed: what it would have restricted is denied.
   */
  readonly inForce: "judged" | "earlier" | "closed" | "none";
  /** `metadata.generation` of the version in force. */
  readonly generationInForce: number | undefined;
  /** Of the status that the resource came with. */
  readonly conditions: readonly Condition[];
  /** It is the version that was judged before: only its status differs. */
  readonly isRepeated: boolean;
}

export interface RemovedResource {
  readonly kind: ConfigurationKind;
  readonly namespace: string;
  readonly name: string;
}

export interface Kept {
  /** What the model may take: resources without error, in the form that their types promise. */
  readonly events: readonly ObjectEvent[];
  /** One for each resource that came or changed. */
  readonly judgements: readonly Judgement[];
  readonly removed: readonly RemovedResource[];
}

interface Known {
  readonly object: ConfigObject<unknown>;
  readonly judgement: Judgement;
}

interface Judged {
  readonly event?: ObjectEvent;
  readonly judgement?: Judgement;
  readonly removed?: RemovedResource;
}

const metadataOf = ({ metadata }: ConfigObject<unknown>): unknown => [
  metadata?.uid,
  metadata?.labels ?? {},
  metadata?.annotations ?? {},
];

/** The API server counts a generation up for whatever is not status or metadata. */
const isSameVersion = (before: ConfigObject<unknown>, now: ConfigObject<unknown>): boolean =>
  now.metadata?.generation !== undefined &&
  before.metadata?.generation === now.metadata.generation &&
  isDeepStrictEqual(metadataOf(before), metadataOf(now));

/**
 * Holds back resources that have errors though they got in, by an API server without the webhook or from a file: the last
 * version without error stays in force, and nothing else is touched. What changes in the status alone is held back, too.
 */
export const createLastGood = (): ((events: readonly ObjectEvent[]) => Kept) => {
  /** Generation of the version in force. */
  const inForce = new Map<string, number | undefined>();
  const known = new Map<string, Known>();
  const closed = new Set<string>();

  const judge = (event: ObjectEvent, kind: ConfigurationKind): Judged => {
    const { namespace, name } = event;
    const key = `${kind}/${namespace}/${name}`;
    if (event.object === undefined) {
      known.delete(key);
      const removed = { kind, namespace, name };
      const wasClosed = closed.delete(key);
      return inForce.delete(key) || wasClosed ? { event, removed } : { removed };
    }
    const given = event.object as ConfigObject<unknown>;
    const conditions = Array.isArray(given.status?.conditions) ? given.status.conditions : [];
    const before = known.get(key);
    if (before !== undefined && isSameVersion(before.object, given))
      return { judgement: { ...before.judgement, conditions, isRepeated: true } };
    const definition = definitionOf(kind);
    const { object, findings } = readConfigObject(definition, event.object);
    const { generation, uid } = given.metadata ?? {};
    const hasEarlier = inForce.has(key);
    if (object !== undefined) inForce.set(key, generation);
    const stand = object === undefined && !hasEarlier ? definition.closed?.(given) : undefined;
    const wasClosed = closed.delete(key);
    if (stand !== undefined) closed.add(key);
    const judgement: Judgement = {
      ...{ kind, namespace, name, uid, generation, findings, conditions, isRepeated: false },
      inForce: object !== undefined ? "judged" : hasEarlier ? "earlier" : stand !== undefined ? "closed" : "none",
      generationInForce: inForce.get(key),
    };
    known.set(key, { object: given, judgement });
    // The object was read by the definition of its own kind.
    const taken = object ?? stand;
    if (taken !== undefined) return { event: { ...event, object: taken } as ObjectEvent, judgement };
    return wasClosed ? { event: { ...event, object: undefined }, judgement } : { judgement };
  };

  return (events) => {
    const results: readonly Judged[] = events.map((event) =>
      isConfigurationKind(event.kind) ? judge(event, event.kind) : { event },
    );
    return {
      events: results.flatMap(({ event }) => event ?? []),
      judgements: results.flatMap(({ judgement }) => judgement ?? []),
      removed: results.flatMap(({ removed }) => removed ?? []),
    };
  };
};
