import type { Condition, Finding } from "../../api/kind.js";
import type { Judgement } from "../../api/last-good.js";
import type { KeysVerdict } from "./keys.js";

/** Proxies rejected what the resource makes. */
export interface Rejection {
  /** `namespace/name` of their pods. */
  readonly proxies: readonly string[];
  /** Envoy's own words, without secrets. */
  readonly message: string;
  /** What is in force instead, in words. */
  readonly instead: string;
}

/** How many of the connected proxies that a resource concerns hold it. */
export interface Distribution {
  readonly held: number;
  readonly proxies: number;
}

export interface Standing {
  readonly generation: number | undefined;
  readonly inForce: Judgement["inForce"];
  readonly generationInForce: number | undefined;
  /** Errors and warnings of the resource, and what others have to say about it. */
  readonly findings: readonly Finding[];
  /** What it has lost, and to whom. */
  readonly conflicts: readonly Finding[];
  readonly rejection: Rejection | undefined;
  /** Undefined for kinds that proxies are not sent. */
  readonly distribution: Distribution | undefined;
  /** Undefined without keys to fetch. */
  readonly keys?: KeysVerdict | undefined;
}

const mostFindings = 3;
const longestRejection = 300;
/** Of a message as Kubernetes allows it. */
const longestMessage = 4096;

const cut = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length - 3)}...` : text);

const told = (findings: readonly Finding[]): string => {
  const shown = findings.slice(0, mostFindings).map(({ path, message }) => `${path}: ${message}`);
  const more = findings.length - shown.length;
  return shown.join(". ") + (more > 0 ? `. And ${more} more` : "");
};

const enumerated = (names: readonly string[]): string =>
  names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");

type Verdict = Pick<Condition, "status" | "reason" | "message">;

const reconciled = (standing: Standing): Verdict => {
  const { findings, conflicts, rejection, inForce, generationInForce } = standing;
  if (inForce !== "judged") {
    const version = generationInForce === undefined ? "" : ` (generation ${generationInForce})`;
    const rest = {
      earlier: `The last valid version${version} stays in force`,
      closed: "What it would have restricted is denied",
      none: "The resource has no effect",
    }[inForce];
    const errors = findings.filter(({ severity }) => severity === "error");
    return { status: "False", reason: "Invalid", message: `${rest}. ${told(errors)}` };
  }
  if (rejection !== undefined)
    return {
      status: "False",
      reason: "Rejected",
      message: `Rejected by the proxies of ${enumerated(rejection.proxies)}; ${rejection.instead}. Envoy: ${cut(rejection.message, longestRejection)}`,
    };
  const faults = findings.filter(({ severity }) => severity === "error");
  if (faults.length > 0)
    return { status: "False", reason: "Invalid", message: `What is faulty is left out. ${told(faults)}` };
  if (conflicts.length > 0) return { status: "False", reason: "Conflict", message: told(conflicts) };
  if (findings.length > 0) return { status: "True", reason: "Warnings", message: told(findings) };
  return { status: "True", reason: "Accepted", message: "The resource is in force" };
};

const distributed = ({ held, proxies }: Distribution): Verdict => {
  if (held < proxies) return { status: "False", reason: "Pending", message: `Held by ${held} of ${proxies} proxies` };
  const message = proxies === 0 ? "No connected proxy uses it" : `Held by all ${proxies} proxies that use it`;
  return { status: "True", reason: "Distributed", message };
};

/** What the status of a resource says, without the time. */
export const conditionsOf = (standing: Standing): readonly Condition[] => {
  const at = standing.generation === undefined ? {} : { observedGeneration: standing.generation };
  const condition = (type: string, verdict: Verdict): Condition => ({
    type,
    ...verdict,
    message: cut(verdict.message, longestMessage),
    ...at,
  });
  const { distribution } = standing;
  return [
    condition("Reconciled", reconciled(standing)),
    // Of an invalid version nothing is sent; what proxies hold is another version.
    ...(distribution === undefined || standing.inForce !== "judged"
      ? []
      : [condition("Distributed", distributed(distribution))]),
    ...(standing.keys === undefined ? [] : [condition("KeysAvailable", standing.keys)]),
  ];
};

/** As text: the generation may be one, for 64-bit numbers have been written so. */
const isSame = (next: Condition, before: Condition | undefined): boolean =>
  before !== undefined &&
  next.status === before.status &&
  next.reason === before.reason &&
  // How many proxies hold it changes with every pod; the number is that of the moment it was written.
  (next.message === before.message || next.reason === "Distributed") &&
  String(next.observedGeneration) === String(before.observedGeneration);

const ownTypes: ReadonlySet<string> = new Set(["Reconciled", "Distributed", "KeysAvailable"]);

/**
 * The conditions to write over what is there, or undefined if that says the same. Only the mesh's own are among them;
 * the time of the last transition stays while the status does.
 */
export const conditionsToWrite = (
  before: readonly Condition[],
  next: readonly Condition[],
  now: string,
): readonly Condition[] | undefined => {
  const known = new Map(
    before.filter(({ type }) => ownTypes.has(type)).map((condition) => [condition.type, condition]),
  );
  if (known.size === next.length && next.every((condition) => isSame(condition, known.get(condition.type))))
    return undefined;
  return next.map((condition) => {
    const earlier = known.get(condition.type);
    const keeps = earlier?.status === condition.status && earlier.lastTransitionTime !== undefined;
    return { ...condition, lastTransitionTime: keeps ? earlier.lastTransitionTime! : now };
  });
};
