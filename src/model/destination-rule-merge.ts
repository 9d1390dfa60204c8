import type { Finding } from "../api/kind.js";
import type { DestinationRule, Subset, TrafficPolicy } from "../api/networking/destination-rule.js";
import { byAge } from "./age.js";
import { exportTargets } from "./hosts.js";

/** What the DestinationRules of one namespace say of one host together. */
export interface MergedDestinationRule {
  /** Fully qualified, in lower case; may begin with `*`. */
  readonly host: string;
  readonly namespace: string;
  /** `namespace/name` of the rules merged in, the first of which says most. */
  readonly sources: readonly string[];
  readonly trafficPolicy: TrafficPolicy | undefined;
  readonly subsets: readonly Subset[];
  /** Namespaces of the clients, `*` for all. */
  readonly exportTo: ReadonlySet<string>;
  /** Labels of the client pods it is for, in its own namespace alone. */
  readonly workloadSelector: Readonly<Record<string, string>> | undefined;
  /** What of a source has no effect, by its `namespace/name`. */
  readonly findings: readonly { readonly key: string; readonly finding: Finding }[];
}

const nameOf = ({ metadata }: DestinationRule): string => metadata?.name ?? "";
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** A rule that selects clients does so in its own namespace. */
const exportedTo = (rule: DestinationRule, namespace: string, fallback: readonly string[]): ReadonlySet<string> => {
  if (rule.spec.workloadSelector !== undefined) return new Set([namespace]);
  const targets = exportTargets(rule.spec.exportTo, namespace, fallback);
  return targets.has("*") ? new Set(["*"]) : targets;
};

const selectorOf = (rule: DestinationRule): Readonly<Record<string, string>> | undefined =>
  rule.spec.workloadSelector === undefined ? undefined : (rule.spec.workloadSelector.matchLabels ?? {});

const canonical = (labels: Readonly<Record<string, string>> | undefined): string =>
  labels === undefined ? "" : JSON.stringify(Object.entries(labels).sort(([a], [b]) => compare(a, b)));

const warningAt = (
  key: string,
  path: string,
  message: string,
): { readonly key: string; readonly finding: Finding } => ({
  key,
  finding: { severity: "warning", path, message },
});

/** The rules of one audience, oldest first: subsets add up, the first policy counts. */
const merge = (
  host: string,
  namespace: string,
  rules: readonly DestinationRule[],
  exportTo: ReadonlySet<string>,
): MergedDestinationRule => {
  const subsets = new Map<string, { readonly subset: Subset; readonly from: string }>();
  const findings: { readonly key: string; readonly finding: Finding }[] = [];
  let policy: { readonly value: TrafficPolicy; readonly from: string } | undefined;
  for (const rule of rules) {
    const key = `${namespace}/${nameOf(rule)}`;
    const { trafficPolicy } = rule.spec;
    if (trafficPolicy !== undefined) {
      if (policy === undefined) policy = { value: trafficPolicy, from: key };
      else
        findings.push(
          warningAt(
            key,
            "spec.trafficPolicy",
            `no effect: ${policy.from} is about ${host} too, is older and has a policy: merge the two`,
          ),
        );
    }
    rule.spec.subsets?.forEach((subset, index) => {
      const known = subsets.get(subset.name);
      if (known === undefined) subsets.set(subset.name, { subset, from: key });
      else
        findings.push(
          warningAt(
            key,
            `spec.subsets[${index}].name`,
            `${JSON.stringify(subset.name)} has no effect: ${known.from} has this subset of ${host} already: give another name`,
          ),
        );
    });
  }
  return {
    host,
    namespace,
    sources: rules.map((rule) => `${namespace}/${nameOf(rule)}`),
    trafficPolicy: policy?.value,
    subsets: [...subsets.values()].map(({ subset }) => subset),
    exportTo,
    workloadSelector: selectorOf(rules[0]!),
    findings,
  };
};

const overlap = (a: ReadonlySet<string>, b: ReadonlySet<string>): boolean =>
  a.has("*") || b.has("*") || [...a].some((namespace) => b.has(namespace));

/** A rule for clients that an older one is for, too, is not looked at there. */
const withShadowed = (groups: readonly MergedDestinationRule[]): readonly MergedDestinationRule[] =>
  groups.map((group, index) => {
    if (group.workloadSelector !== undefined) return group;
    const first = groups
      .slice(0, index)
      .find(({ workloadSelector, exportTo }) => workloadSelector === undefined && overlap(exportTo, group.exportTo));
    if (first === undefined) return group;
    const shadowed = group.sources.map((key) =>
      warningAt(
        key,
        "spec.exportTo",
        `no effect for clients that ${first.sources[0]} is exported to as well, which is about ${group.host} too and older: give both the same exportTo, and they are merged`,
      ),
    );
    return { ...group, findings: [...group.findings, ...shadowed] };
  });

/**
 * Merges the rules of one namespace for one host: those with the same exportTo and the same selector become one. Those
 * with a selector come first, then the oldest.
 */
export const mergeRules = (
  host: string,
  namespace: string,
  rules: readonly DestinationRule[],
  defaultExportTo: readonly string[],
): readonly MergedDestinationRule[] => {
  const groups = new Map<string, { readonly rules: DestinationRule[]; readonly exportTo: ReadonlySet<string> }>();
  const ordered = [...rules].sort(
    (a, b) => Number(selectorOf(a) === undefined) - Number(selectorOf(b) === undefined) || byAge(a, b),
  );
  for (const rule of ordered) {
    const exportTo = exportedTo(rule, namespace, defaultExportTo);
    const key = `${canonical(selectorOf(rule))} ${[...exportTo].sort().join()}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { rules: [rule], exportTo });
    else group.rules.push(rule);
  }
  return withShadowed([...groups.values()].map((group) => merge(host, namespace, group.rules, group.exportTo)));
};
