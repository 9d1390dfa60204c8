import type { PodAdmission } from "./review.js";

/** A pod that asked for a sidecar and was admitted without one. */
export interface MissingSidecar {
  readonly namespace: string;
  /** Name, or generateName, of the pod. */
  readonly pod: string;
  /** What made the pod, if a controller did: pods in admission do not exist yet, their owners do. */
  readonly owner?: { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string };
  readonly reason: string;
}

type Fields = Readonly<Record<string, unknown>>;

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

export const missingSidecar = ({ namespace, pod }: PodAdmission, reason: string): MissingSidecar => {
  const metadata = pod["metadata"] as Fields;
  const references = Array.isArray(metadata["ownerReferences"]) ? (metadata["ownerReferences"] as unknown[]) : [];
  const owner = references
    .filter((reference): reference is Fields => typeof reference === "object" && reference !== null)
    .map(({ apiVersion, kind, name, uid }) => ({
      apiVersion: text(apiVersion),
      kind: text(kind),
      name: text(name),
      uid: text(uid),
    }))
    .find((candidate) => candidate.kind !== undefined && candidate.name !== undefined && candidate.uid !== undefined);
  return {
    namespace,
    pod: text(metadata["name"]) ?? `${text(metadata["generateName"]) ?? ""}*`,
    ...(owner === undefined ? {} : { owner: owner as NonNullable<MissingSidecar["owner"]> }),
    reason,
  };
};

/**
 * Passes notices on without making admission wait: the same one once in `repeat` ms, `perMinute` a minute in all. The
 * rest is dropped, since a crash-looping Job must not flood the API server.
 */
export const limitNotices = (
  record: (notice: MissingSidecar) => Promise<void>,
  failed: (error: Error) => void,
  { perMinute = 60, repeat = 600_000, now = Date.now } = {},
): ((notice: MissingSidecar) => void) => {
  const told = new Map<string, number>();
  let windowStart = 0;
  let inWindow = 0;
  return (notice) => {
    const at = now();
    const key = `${notice.namespace}/${notice.owner?.uid ?? notice.pod}/${notice.reason}`;
    if (at - (told.get(key) ?? Number.NEGATIVE_INFINITY) < repeat) return;
    if (at - windowStart >= 60_000) {
      windowStart = at;
      inWindow = 0;
    }
    if (inWindow >= perMinute) return;
    inWindow += 1;
    told.delete(key);
    told.set(key, at);
    if (told.size > 1000) told.delete(told.keys().next().value!);
    record(notice).catch(failed);
  };
};
