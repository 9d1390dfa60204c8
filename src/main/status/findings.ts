import { error } from "../../api/findings.js";
import type { Finding } from "../../api/kind.js";
import type { ConfigurationKind } from "../../api/kinds.js";
import { envoyFilterValueFindings } from "../../compile/patch/patches.js";
import { compileAuthorization } from "../../compile/policy/authorization.js";
import { namespaceOf, type Snapshot } from "../../model/snapshot.js";
import { policyAt } from "../../model/workload-policies.js";
import type { AnalyseCoded } from "../analyse.js";
import { objectOf } from "./concerns.js";

export interface ResourceFindings {
  readonly findings: readonly Finding[];
  readonly conflicts: readonly Finding[];
  /** It could not be compiled, and denies what it would have restricted. */
  readonly isClosed?: boolean;
}

/** Codes of analysis that tell of something that is lost to another resource, on the one that has lost it. */
const conflictCodes: ReadonlySet<string> = new Set([
  "HDL0110",
  "HDL0203",
  "HDL0301",
  "HDL0302",
  "HDL0402",
  "HDL0406",
  "HDL0604",
  "HDL0650",
]);

/** What the model has dropped when it brought the resource together with others. */
const droppedOf = (snapshot: Snapshot, kind: ConfigurationKind, key: string): ResourceFindings => {
  if (kind === "VirtualService")
    return { findings: snapshot.virtualServices.resolved.get(key)?.findings ?? [], conflicts: [] };
  if (kind === "EnvoyFilter") {
    const filter = snapshot.envoyFilters.get(key);
    return { findings: filter === undefined ? [] : envoyFilterValueFindings(filter), conflicts: [] };
  }
  if (kind === "AuthorizationPolicy") {
    const policy = policyAt(snapshot.authorizationPolicies, key);
    const failure = policy && compileAuthorization(policy, snapshot.mesh).failure;
    return failure === undefined
      ? { findings: [], conflicts: [] }
      : {
          findings: [error("spec", `cannot be compiled: ${failure.message}; correct it`)],
          conflicts: [],
          isClosed: true,
        };
  }
  if (kind !== "DestinationRule") return { findings: [], conflicts: [] };
  const rules = snapshot.destinationRulesOfNamespace.get(namespaceOf(key));
  const merged = (rules?.hostsOf(key.slice(key.indexOf("/") + 1)) ?? []).flatMap((host) => rules?.merged(host) ?? []);
  const own = merged.flatMap(({ findings }) => findings.flatMap((each) => (each.key === key ? [each.finding] : [])));
  return { findings: [], conflicts: own };
};

/** What the version in force has against it from other resources. A field is told of once. */
export const findingsAmong = (
  snapshot: Snapshot,
  analyse: AnalyseCoded,
  kind: ConfigurationKind,
  key: string,
): ResourceFindings => {
  const object = objectOf(snapshot, kind, key);
  if (object === undefined) return { findings: [], conflicts: [] };
  const coded = analyse(kind, namespaceOf(key), object);
  const paths = new Set(coded.map(({ finding }) => finding.path));
  const isNew = ({ path }: Finding): boolean => !paths.has(path);
  const dropped = droppedOf(snapshot, kind, key);
  const of = (isConflict: boolean): readonly Finding[] =>
    coded.flatMap(({ code, finding }) => (conflictCodes.has(code) === isConflict ? [finding] : []));
  return {
    findings: [...of(false), ...dropped.findings.filter(isNew)],
    conflicts: [...of(true), ...dropped.conflicts.filter(isNew)],
    ...(dropped.isClosed === undefined ? {} : { isClosed: dropped.isClosed }),
  };
};
