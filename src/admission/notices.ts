import type { PodAdmission } from "./review.js";

/** A pod that asked for a sidecar and was admitted without one, or was refused. */
export interface PodNotice {
  readonly outcome: "left out" | "refused";
  readonly namespace: string;
  /** Name, or generateName and `*`, of the pod. */
  readonly pod: string;
  /** What made the pod, if a controller did: pods in admission do not exist yet, their owners do. */
  readonly owner?: { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string };
  readonly reason: string;
}

type Fields = Readonly<Record<string, unknown>>;

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

export const podNotice = (
  { namespace, pod }: PodAdmission,
  outcome: PodNotice["outcome"],
  reason: string,
): PodNotice => {
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
    outcome,
    namespace,
    pod: text(metadata["name"]) ?? `${text(metadata["generateName"]) ?? ""}*`,
    ...(owner === undefined ? {} : { owner: owner as NonNullable<PodNotice["owner"]> }),
    reason,
  };
};
