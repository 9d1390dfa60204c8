import { type Envelope, type Fields, isObject, isTooDeep, readEnvelope, shown } from "./envelope.js";

/** The `request` of an admission.k8s.io/v1 AdmissionReview for a pod, as far as it is read here. */
export interface PodAdmission {
  readonly uid: string;
  readonly namespace: string;
  readonly operation: string;
  readonly dryRun: boolean;
  /** As the API server sent it: no field but `metadata` and `spec` being objects has been checked. */
  readonly pod: Readonly<Record<string, unknown>>;
}

export type ReadReview =
  | { readonly kind: "pod"; readonly admission: PodAdmission }
  /** A review that can be answered, with a refusal. */
  | { readonly kind: "refused"; readonly uid: string; readonly message: string }
  | Extract<Envelope, { readonly kind: "invalid" }>;

const isPodKind = (value: unknown): boolean =>
  isObject(value) && value["group"] === "" && value["version"] === "v1" && value["kind"] === "Pod";

const podFault = (pod: unknown): string | undefined => {
  if (!isObject(pod)) return `request.object is ${shown(pod)}; a Pod is needed`;
  if (!isObject(pod["metadata"])) return `request.object.metadata is ${shown(pod["metadata"])}; an object is needed`;
  if (!isObject(pod["spec"])) return `request.object.spec is ${shown(pod["spec"])}; an object is needed`;
  for (const field of ["labels", "annotations"]) {
    const map = pod["metadata"][field];
    if (map === undefined || map === null) continue;
    if (!isObject(map)) return `request.object.metadata.${field} is ${shown(map)}; an object is needed`;
    for (const [key, value] of Object.entries(map))
      if (typeof value !== "string")
        return `request.object.metadata.${field}[${shown(key)}] is ${shown(value)}; a string is needed`;
  }
  return undefined;
};

/** Reads a decoded body. Never throws. */
export const readReview = (body: unknown): ReadReview => {
  const envelope = readEnvelope(body);
  if (envelope.kind === "invalid") return envelope;
  const { uid, request } = envelope;
  const refused = (message: string): ReadReview => ({ kind: "refused", uid, message });
  if (!isPodKind(request["kind"]))
    return refused(
      `request.kind is ${shown(request["kind"])}; only pods of v1 are injected: correct the webhook's rules`,
    );
  const fault = isTooDeep(request["object"]) ? "request.object is nested too deeply" : podFault(request["object"]);
  if (fault !== undefined) return refused(fault);
  const pod = request["object"] as Fields;
  // A pod made by a controller names its namespace only in the request.
  const namespace = request["namespace"] ?? (pod["metadata"] as Fields)["namespace"];
  if (typeof namespace !== "string" || namespace === "")
    return refused(`request.namespace is ${shown(namespace)}; a string is needed`);
  const operation = request["operation"];
  return {
    kind: "pod",
    admission: {
      uid,
      namespace,
      operation: typeof operation === "string" ? operation : "",
      dryRun: request["dryRun"] === true,
      pod,
    },
  };
};
