import type { Operation } from "fast-json-patch";

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
  /** Not a review: there is no uid to answer to, which makes it an HTTP 400. */
  | { readonly kind: "invalid"; readonly message: string };

export type Verdict =
  | { readonly allowed: true; readonly patch?: readonly Operation[]; readonly warnings?: readonly string[] }
  | { readonly allowed: false; readonly code: number; readonly message: string };

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
};

const deepest = 200;

/** Whether arrays and objects lie deeper in each other than a pod's ever do; looks level by level, not by recursion. */
const isTooDeep = (value: unknown): boolean => {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > deepest) return true;
    level = level.flatMap((item) =>
      typeof item === "object" && item !== null
        ? Object.values(item).filter((child) => typeof child === "object" && child !== null)
        : [],
    );
  }
  return false;
};

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
  if (!isObject(body)) return { kind: "invalid", message: `the body is ${shown(body)}; send an AdmissionReview` };
  if (body["kind"] !== "AdmissionReview")
    return { kind: "invalid", message: `kind is ${shown(body["kind"])}; send an AdmissionReview` };
  if (body["apiVersion"] !== "admission.k8s.io/v1")
    return { kind: "invalid", message: `apiVersion is ${shown(body["apiVersion"])}; send admission.k8s.io/v1` };
  const request = body["request"];
  if (!isObject(request)) return { kind: "invalid", message: `request is ${shown(request)}; an object is needed` };
  const uid = request["uid"];
  if (typeof uid !== "string" || uid === "" || uid.length > 256)
    return { kind: "invalid", message: `request.uid is ${shown(uid)}; a string is needed` };
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

/** Kubernetes cuts long warnings and says so; a hint is better cut here. */
const warningOf = (warning: string): string => (warning.length > 250 ? `${warning.slice(0, 247)}...` : warning);

const responseOf = (uid: string, verdict: Verdict): object => {
  if (!verdict.allowed)
    return { uid, allowed: false, status: { status: "Failure", code: verdict.code, message: verdict.message } };
  return {
    uid,
    allowed: true,
    ...(verdict.patch === undefined || verdict.patch.length === 0
      ? {}
      : { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(verdict.patch)).toString("base64") }),
    ...(verdict.warnings === undefined || verdict.warnings.length === 0
      ? {}
      : { warnings: verdict.warnings.map(warningOf) }),
  };
};

export const writeReview = (uid: string, verdict: Verdict): object => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  response: responseOf(uid, verdict),
});
