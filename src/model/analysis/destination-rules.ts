import type { DestinationRule } from "../../api/networking/destination-rule.js";
import { exportTargets, isExportedTo, wildcardsOf } from "../hosts.js";
import type { AnalysisIndex } from "./index.js";
import { namespaceOf } from "./named.js";

/** The rules for one host, as written, in one namespace; oldest first. */
export interface RuleGroup {
  readonly namespace: string;
  readonly host: string;
  readonly rules: readonly DestinationRule[];
}

export const exportOf = (index: AnalysisIndex, rule: DestinationRule): ReadonlySet<string> =>
  // With a selector a rule is for clients of its own namespace.
  rule.spec.workloadSelector === undefined
    ? exportTargets(rule.spec.exportTo, namespaceOf(rule), index.mesh.defaultDestinationRuleExportTo)
    : new Set([namespaceOf(rule)]);

/** Groups of one namespace that a host falls under, the most specific first. */
export function* groupsFor(
  index: AnalysisIndex,
  namespace: string,
  host: string,
  accept: (rule: DestinationRule) => boolean,
): Generator<RuleGroup> {
  const byHost = index.destinationRules().get(namespace);
  if (byHost === undefined) return;
  const keys = [host, ...wildcardsOf(host)];
  for (const key of new Set(keys)) {
    const rules = byHost.get(key)?.filter(accept) ?? [];
    if (rules.length > 0) yield { namespace, host: key, rules };
  }
}

/**
 * Where a client looks for the rule of a host, in order: its own namespace, the service's, the root namespace. The first
 * group is what holds; those after it are hidden.
 */
export function* lookup(
  index: AnalysisIndex,
  client: string,
  host: string,
  serviceNamespace: string | undefined,
): Generator<RuleGroup> {
  const root = index.mesh.rootNamespace;
  const exported = (rule: DestinationRule): boolean => isExportedTo(exportOf(index, rule), client);
  if (client !== root) yield* groupsFor(index, client, host, () => true);
  if (serviceNamespace !== undefined && serviceNamespace !== client)
    yield* groupsFor(index, serviceNamespace, host, exported);
  if (serviceNamespace !== root || client === root) yield* groupsFor(index, root, host, exported);
}

export const subsetsOf = ({ rules }: RuleGroup): readonly string[] =>
  rules.flatMap(({ spec }) => (spec.subsets ?? []).map(({ name }) => name));
