import { isDeepStrictEqual } from "node:util";
import { show } from "../api/findings.js";
import type { ConfigObject, Finding } from "../api/kind.js";
import { type ConfigurationKind, definitionOf, isConfigurationKind } from "../api/kinds.js";
import { readConfigObject } from "../api/validate.js";
import { type Envelope, type Fields, isObject, isTooDeep, readEnvelope, shown, type Verdict } from "./envelope.js";

/** What other resources have to say about this one, which by itself is valid. */
export type Analyse = (kind: ConfigurationKind, namespace: string, object: ConfigObject<unknown>) => readonly Finding[];

interface Validation {
  readonly uid: string;
  readonly kind: ConfigurationKind;
  readonly namespace: string;
  readonly object: Fields;
  readonly before: unknown;
}

type ReadValidation =
  | { readonly kind: "validation"; readonly validation: Validation }
  | { readonly kind: "answered"; readonly uid: string; readonly verdict: Verdict }
  | Extract<Envelope, { readonly kind: "invalid" }>;

const judged: ReadonlySet<unknown> = new Set(["CREATE", "UPDATE"]);

const readValidation = (body: unknown): ReadValidation => {
  const envelope = readEnvelope(body);
  if (envelope.kind === "invalid") return envelope;
  const { uid, request } = envelope;
  const answered = (verdict: Verdict): ReadValidation => ({ kind: "answered", uid, verdict });
  const refused = (message: string): ReadValidation => answered({ allowed: false, code: 400, message });
  const { group, kind } = isObject(request["kind"]) ? request["kind"] : {};
  if (!isConfigurationKind(kind) || definitionOf(kind).group !== group)
    return refused(`request.kind is ${shown(request["kind"])}, which is not of the mesh: correct the webhook's rules`);
  if (!judged.has(request["operation"])) return answered({ allowed: true });
  const { object, oldObject: before, namespace = "" } = request;
  if (isTooDeep(object)) return refused("request.object is nested too deeply");
  if (!isObject(object)) return refused(`request.object is ${shown(object)}; a ${kind} is needed`);
  if (typeof namespace !== "string") return refused(`request.namespace is ${shown(namespace)}; a string is needed`);
  return { kind: "validation", validation: { uid, kind, namespace, object, before } };
};

const line = ({ path, message }: Finding): string => (path === "" ? message : `${path}: ${message}`);

const ofSeverity = (findings: readonly Finding[], wanted: Finding["severity"]): readonly string[] =>
  findings.filter(({ severity }) => severity === wanted).map(line);

/**
 * A resource may have got in before its faults were known. It can still be annotated, labelled and deleted, which is an
 * update too if it has finalizers: only a change of its spec is judged.
 */
const isUnchanged = ({ object, before }: Validation): boolean =>
  isObject(before) && isDeepStrictEqual(before["spec"], object["spec"]);

const judge = (validation: Validation, analyse: Analyse | undefined, failed: (error: Error) => void): Verdict => {
  const { kind, namespace } = validation;
  const { object, findings: own } = readConfigObject(definitionOf(kind), validation.object);
  let others: readonly Finding[] = [];
  if (object !== undefined && analyse !== undefined)
    try {
      others = analyse(kind, namespace, object);
    } catch (error) {
      // The resource itself is valid; advice that cannot be had is no reason to refuse it.
      failed(error as Error);
    }
  // Of two findings about one field, the resource's own is enough.
  const told = new Set(own.map(({ path }) => path));
  const findings = [...own, ...others.filter(({ path }) => !told.has(path))];
  const errors = ofSeverity(findings, "error");
  const warnings = ofSeverity(findings, "warning");
  if (errors.length === 0) return { allowed: true, warnings };
  if (isUnchanged(validation)) return { allowed: true, warnings: [...errors, ...warnings] };
  const { name } = isObject(validation.object["metadata"]) ? validation.object["metadata"] : {};
  const what = `${kind} ${typeof name === "string" ? name : show(name)}`;
  const message =
    errors.length === 1 ? `${what}: ${errors[0]}` : `${what} has ${errors.length} faults:\n  ${errors.join("\n  ")}`;
  return { allowed: false, code: 422, message, warnings };
};

export type ValidationAnswer =
  | { readonly kind: "answer"; readonly uid: string; readonly verdict: Verdict }
  | Extract<Envelope, { readonly kind: "invalid" }>;

/** Judges the resource in a decoded AdmissionReview. Never throws; `failed` is told if `analyse` does. */
export const answerValidation = (
  body: unknown,
  analyse: Analyse | undefined,
  failed: (error: Error) => void,
): ValidationAnswer => {
  const read = readValidation(body);
  if (read.kind === "invalid") return read;
  if (read.kind === "answered") return { kind: "answer", uid: read.uid, verdict: read.verdict };
  return { kind: "answer", uid: read.validation.uid, verdict: judge(read.validation, analyse, failed) };
};
