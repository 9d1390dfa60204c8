import type { Operation } from "fast-json-patch";
import { show } from "../api/findings.js";

export type Verdict =
  | { readonly allowed: true; readonly patch?: readonly Operation[]; readonly warnings?: readonly string[] }
  | { readonly allowed: false; readonly code: number; readonly message: string; readonly warnings?: readonly string[] };

export type Fields = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const shown = (value: unknown): string => (value === undefined ? "nothing" : show(value));

const deepest = 200;

/** Whether arrays and objects lie deeper in each other than any resource's ever do; looks level by level, not by recursion. */
export const isTooDeep = (value: unknown): boolean => {
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

/** A decoded AdmissionReview of admission.k8s.io/v1. */
export type Envelope =
  | { readonly kind: "request"; readonly uid: string; readonly request: Fields }
  /** Not a review: there is no uid to answer to, which makes it an HTTP 400. */
  | { readonly kind: "invalid"; readonly message: string };

/** Reads a decoded body. Never throws. */
export const readEnvelope = (body: unknown): Envelope => {
  const invalid = (message: string): Envelope => ({ kind: "invalid", message });
  if (!isObject(body)) return invalid(`the body is ${shown(body)}; send an AdmissionReview`);
  if (body["kind"] !== "AdmissionReview") return invalid(`kind is ${shown(body["kind"])}; send an AdmissionReview`);
  if (body["apiVersion"] !== "admission.k8s.io/v1")
    return invalid(`apiVersion is ${shown(body["apiVersion"])}; send admission.k8s.io/v1`);
  const request = body["request"];
  if (!isObject(request)) return invalid(`request is ${shown(request)}; an object is needed`);
  const uid = request["uid"];
  if (typeof uid !== "string" || uid === "" || uid.length > 256)
    return invalid(`request.uid is ${shown(uid)}; a string is needed`);
  return { kind: "request", uid, request };
};

/** Kubernetes cuts long warnings and says so; a hint is better cut here. */
const warningOf = (warning: string): string => (warning.length > 250 ? `${warning.slice(0, 247)}...` : warning);

const responseOf = (uid: string, verdict: Verdict): object => {
  const { warnings = [] } = verdict;
  const said = warnings.length === 0 ? {} : { warnings: warnings.map(warningOf) };
  if (!verdict.allowed)
    return {
      uid,
      allowed: false,
      status: { status: "Failure", code: verdict.code, message: verdict.message },
      ...said,
    };
  const { patch = [] } = verdict;
  return {
    uid,
    allowed: true,
    ...(patch.length === 0
      ? {}
      : { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") }),
    ...said,
  };
};

export const writeReview = (uid: string, verdict: Verdict): object => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  response: responseOf(uid, verdict),
});
