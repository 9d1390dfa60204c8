import type { V1ObjectMeta, V1Pod, V1PodSpec } from "@kubernetes/client-node";
import type { InjectionResult } from "../injection/types.js";

type Fields = Readonly<Record<string, unknown>>;

interface PodTemplate {
  readonly metadata?: V1ObjectMeta;
  readonly spec?: V1PodSpec;
}

const templatePaths: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  ReplicationController: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
};

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const replaceAt = (object: Fields, path: readonly string[], value: unknown): Fields => {
  const [name, ...rest] = path;
  if (name === undefined) return value as Fields;
  return { ...object, [name]: replaceAt((object[name] ?? {}) as Fields, rest, value) };
};

const at = (object: Fields, path: readonly string[]): unknown =>
  path.reduce<unknown>((below, name) => (isObject(below) ? below[name] : undefined), object);

export interface DocumentResult {
  readonly object: unknown;
  /** What the user is to be told: refusals are thrown, this is what was left alone and what has no effect. */
  readonly notes: readonly string[];
}

/**
 * One object of a file with its sidecar: a pod, whatever holds a pod template, or a List of them; all else as it came.
 * `inject` gets the pod such a template makes, as its controller would make it. Throws an Error with what was refused.
 */
export const injectDocument = (
  object: unknown,
  namespace: string,
  inject: (pod: V1Pod, namespace: string) => InjectionResult,
): DocumentResult => {
  if (!isObject(object)) return { object, notes: [] };
  const kind = String(object["kind"]);
  if (kind === "List" && Array.isArray(object["items"])) {
    const results = object["items"].map((item) => injectDocument(item, namespace, inject));
    return {
      object: { ...object, items: results.map((result) => result.object) },
      notes: results.flatMap(({ notes }) => notes),
    };
  }
  const path = Object.hasOwn(templatePaths, kind) ? templatePaths[kind] : undefined;
  const template = path === undefined ? undefined : at(object, path);
  if (path === undefined || !isObject(template)) return { object, notes: [] };

  const metadata = (object["metadata"] ?? {}) as V1ObjectMeta;
  const within = metadata.namespace ?? namespace;
  const name = metadata.name ?? "unnamed";
  const { metadata: own = {}, spec } = template as PodTemplate;
  const made: V1Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: kind === "Pod" ? own : { ...own, namespace: within, generateName: `${name}-` },
    ...(spec === undefined ? {} : { spec }),
  };
  const result = inject(made, within);
  if (result.kind === "refused") throw new Error(result.message);
  if (result.kind === "skipped") return { object, notes: [`${kind} ${name}: left as it is: ${result.reason}`] };

  const { generateName: _, namespace: __, ...kept } = result.pod.metadata ?? {};
  const injected =
    kind === "Pod"
      ? { ...object, metadata: result.pod.metadata, spec: result.pod.spec }
      : replaceAt(object, path, { ...template, metadata: kept, spec: result.pod.spec });
  return { object: injected, notes: result.warnings.map((warning) => `${kind} ${name}: ${warning}`) };
};
