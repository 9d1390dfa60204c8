import { isDeepStrictEqual } from "node:util";
import type { V1Container, V1Pod, V1PodSpec } from "@kubernetes/client-node";
import { written } from "./annotations.js";
import { quoted, refuse } from "./refusal.js";

/** The annotation sidecar.istio.io/status, in Istio's form and order: names of what injection added. */
export interface InjectionStatus {
  readonly initContainers: readonly string[] | null;
  readonly containers: readonly string[] | null;
  readonly volumes: readonly string[] | null;
  readonly imagePullSecrets: readonly string[] | null;
  readonly revision: string;
}

type Fields = Readonly<Record<string, unknown>>;
type Lists = "containers" | "initContainers";

/** The user's own containers that were merged with the template's, as they were. */
export type Overrides = Readonly<Partial<Record<Lists, readonly V1Container[]>>>;
/** By container: rewritten fields as the user wrote them (probes), null for one that was not there. */
export type Originals = Readonly<Partial<Record<Lists, Readonly<Record<string, Fields>>>>>;

const cure = "injection writes it itself: remove the annotations sidecar.istio.io/status and the like from the pod";

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isName = (value: unknown): boolean => typeof value === "string";
const isContainer = (value: unknown): boolean => isObject(value) && isName(value["name"]);
const isListOf = (test: (value: unknown) => boolean, value: unknown): boolean =>
  value === undefined || value === null || (Array.isArray(value) && value.every(test));

const readJson = <Value>(pod: V1Pod, name: string, wellFormed: (value: Fields) => boolean): Partial<Value> => {
  const text = pod.metadata?.annotations?.[name];
  if (text === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  return isObject(value) && wellFormed(value)
    ? (value as Partial<Value>)
    : refuse(`annotation ${name}: ${quoted(text)} is not what injection writes; ${cure}`);
};

const statusLists = ["initContainers", "containers", "volumes", "imagePullSecrets"] as const;
const containerLists: readonly Lists[] = ["containers", "initContainers"];

/** Fields of `after` that differ from `before`, as they were before; undefined if none does. */
const changedFields = (before: V1Container, after: V1Container): Fields | undefined => {
  if (before === after) return undefined;
  const was = before as unknown as Fields;
  const is = after as unknown as Fields;
  const changed = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter(
    (field) => was[field] !== is[field] && !isDeepStrictEqual(was[field], is[field]),
  );
  return changed.length === 0 ? undefined : Object.fromEntries(changed.map((field) => [field, was[field] ?? null]));
};

/** What has to be put back in containers that were rewritten; both lists are in the same order. */
export const originalsOf = (
  before: readonly V1Container[],
  after: readonly V1Container[],
): Readonly<Record<string, Fields>> | undefined => {
  const changed = before.flatMap((container, index) => {
    const fields = changedFields(container, after[index] ?? container);
    return fields === undefined ? [] : [[container.name, fields] as const];
  });
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
};

const restore = (container: V1Container, originals: Fields | undefined): V1Container => {
  if (!isObject(originals)) return container;
  const fields = { ...container, ...originals } as unknown as Fields;
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)) as unknown as V1Container;
};

const without = <Item extends { readonly name?: string }>(
  items: readonly Item[] | undefined,
  names: readonly string[] | null | undefined,
): Item[] | undefined => {
  if (items === undefined || !names?.length) return items as Item[] | undefined;
  const rest = items.filter((item) => !names.includes(item.name ?? ""));
  return rest.length === 0 ? undefined : rest;
};

/**
 * The pod as it was before an earlier injection, which the pod's own annotations tell; the same pod if there was none.
 * What others have added since stays. Labels stay too: injecting again sets the same. Throws InjectionRefusal if the
 * annotations are not what injection writes.
 */
export const undoEarlier = (pod: V1Pod): V1Pod => {
  const annotations = pod.metadata?.annotations;
  if (annotations === undefined || !Object.values(written).some((name) => annotations[name] !== undefined)) return pod;
  const status = readJson<InjectionStatus>(pod, written.status, (value) =>
    statusLists.every((list) => isListOf(isName, value[list])),
  );
  const overrides = readJson<Overrides>(pod, written.overrides, (value) =>
    containerLists.every((list) => isListOf(isContainer, value[list])),
  );
  const originals = readJson<Originals>(pod, written.originals, (value) =>
    containerLists.every((list) => value[list] === undefined || isObject(value[list])),
  );

  const spec: Record<string, unknown> = { ...pod.spec };
  const set = (field: keyof V1PodSpec, value: unknown): void => {
    if (value === undefined) delete spec[field];
    else spec[field] = value;
  };
  // Either list may hold a container of either form: a native sidecar was under containers before.
  const names = [...(status.containers ?? []), ...(status.initContainers ?? [])];
  for (const list of containerLists) {
    const own = without(pod.spec?.[list], names)?.map((container) =>
      restore(container, originals[list]?.[container.name]),
    );
    const merged = overrides[list] ?? [];
    const result = [...(own ?? []), ...merged];
    set(list, result.length > 0 || list === "containers" ? result : undefined);
  }
  set("volumes", without(pod.spec?.volumes, status.volumes));
  set("imagePullSecrets", without(pod.spec?.imagePullSecrets, status.imagePullSecrets));
  const kept = Object.fromEntries(
    Object.entries(annotations).filter(([name]) => !Object.values<string>(written).includes(name)),
  );
  return { ...pod, metadata: { ...pod.metadata, annotations: kept }, spec: spec as unknown as V1PodSpec };
};
