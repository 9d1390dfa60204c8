import { show } from "../../api/findings.js";
import type { DestinationRule, TrafficPolicy } from "../../api/networking/destination-rule.js";
import { byAge } from "../age.js";
import { qualifiedHost } from "../host.js";
import { selectsOrAll } from "../selector.js";
import type { MeshService } from "../service.js";
import { entryOfService } from "../service-entry.js";
import { exportOf, lookup, type RuleGroup } from "./destination-rules.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import { anyUnder } from "./hosts.js";
import type { AnalysisIndex } from "./index.js";
import { keyOf, namespaceOf } from "./named.js";
import { resolveHost } from "./reference.js";
import { labelsText } from "./scope.js";
import { checkTls } from "./tls.js";
import { selectedBy, type Workload } from "./workloads.js";

const blocksOf = (policy: TrafficPolicy | undefined): readonly string[] =>
  Object.entries(policy ?? {})
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name);

const policyOf = (rules: readonly DestinationRule[]): TrafficPolicy | undefined =>
  rules.find(({ spec }) => spec.trafficPolicy !== undefined)?.spec.trafficPolicy;

const isSame = (left: ReadonlySet<string>, right: ReadonlySet<string>): boolean =>
  left.size === right.size && [...left].every((value) => right.has(value));

const selectorOf = ({ spec }: DestinationRule): string => labelsText(spec.workloadSelector?.matchLabels ?? {});

/** What the older rules of its host and namespace leave of this one. */
const checkOlder = (
  index: AnalysisIndex,
  object: DestinationRule,
  older: readonly DestinationRule[],
): readonly CodedFinding[] => {
  const [first] = older;
  if (first === undefined) return [];
  const apart = older.find((rule) => !isSame(exportOf(index, rule), exportOf(index, object)));
  if (apart !== undefined)
    return [
      found(
        "HDL0203",
        "spec.exportTo",
        `is not that of DestinationRule ${keyOf(apart)} for the same host, so the two are not merged, and that one comes first where it is seen; give both the same exportTo`,
      ),
    ];
  const ruling = older.find(({ spec }) => spec.trafficPolicy !== undefined);
  const names = new Map(older.flatMap((rule) => (rule.spec.subsets ?? []).map(({ name }) => [name, keyOf(rule)])));
  return [
    ...(ruling === undefined || object.spec.trafficPolicy === undefined
      ? []
      : [
          found(
            "HDL0203",
            "spec.trafficPolicy",
            `has no effect: DestinationRule ${keyOf(ruling)} for the same host comes first, and its trafficPolicy is taken; write it there`,
          ),
        ]),
    ...(object.spec.subsets ?? []).flatMap(({ name }, position) => {
      const owner = names.get(name);
      return owner === undefined
        ? []
        : [
            found(
              "HDL0203",
              `spec.subsets[${position}].name`,
              `${show(name)} is defined by DestinationRule ${owner} already, which comes first; rename or remove it`,
            ),
          ];
    }),
  ];
};

/** What wider rules say that does not hold for this host because of this one. */
const checkHidden = (siblings: readonly DestinationRule[], hidden: readonly RuleGroup[]): readonly CodedFinding[] => {
  const own = blocksOf(policyOf(siblings));
  const ownSubsets = new Set(siblings.flatMap(({ spec }) => (spec.subsets ?? []).map(({ name }) => name)));
  return hidden.flatMap((group) => {
    const blocks = blocksOf(policyOf(group.rules)).filter((block) => !own.includes(block));
    const subsets = group.rules
      .flatMap(({ spec }) => spec.subsets ?? [])
      .map(({ name }) => name)
      .filter((name) => !ownSubsets.has(name));
    const lost = [...blocks, ...(subsets.length > 0 ? [`the subsets ${enumerate(subsets)}`] : [])];
    return lost.length === 0
      ? []
      : [
          found(
            "HDL0202",
            "spec.host",
            `DestinationRule ${enumerate(group.rules.map(keyOf))} (${group.host}) no longer holds here, and nothing is inherited from it: ${enumerate(lost)}; repeat what you need of it`,
          ),
        ];
  });
};

const labelsOfEndpoints = (index: AnalysisIndex, entry: MeshService): readonly Workload["labels"][] => {
  const hasSelector = Object.keys(entry.selector).length > 0;
  if (hasSelector) return selectedBy(index.workloads(), entry.namespace, entry.selector).map(({ labels }) => labels);
  const { endpoints } = index.serviceEntries().get(entryOfService(entry))?.spec ?? {};
  return entry.origin === "Service" ? [] : (endpoints ?? []).map(({ labels }) => labels ?? {});
};

const checkSubsets = (index: AnalysisIndex, object: DestinationRule, entry: MeshService): readonly CodedFinding[] => {
  const subsets = object.spec.subsets ?? [];
  if (subsets.length === 0) return [];
  const known = labelsOfEndpoints(index, entry);
  if (known.length === 0) return [];
  return subsets.flatMap(({ labels }, position) =>
    labels === undefined || known.some((own) => selectsOrAll(labels, own))
      ? []
      : [
          found(
            "HDL0204",
            `spec.subsets[${position}].labels`,
            `${show(labelsText(labels))}: none of the ${known.length} endpoints of ${entry.host} has these labels; correct them, or deploy the version`,
          ),
        ],
  );
};

export const checkDestinationRuleReferences = (
  index: AnalysisIndex,
  object: DestinationRule,
): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  const host = qualifiedHost(object.spec.host, namespace, index.mesh.clusterDomain);
  const isWildcard = host.startsWith("*");
  const { entry, findings } = isWildcard
    ? {
        entry: undefined,
        findings: anyUnder(index.hosts(), host)
          ? []
          : [found("HDL0201", "spec.host", `${show(object.spec.host)}: no host of the mesh is under it; correct it`)],
      }
    : resolveHost(index, object.spec.host, namespace, "spec.host", "HDL0201");

  const key = keyOf(object);
  const others = (index.destinationRules().get(namespace)?.get(host) ?? []).filter(
    (rule) => keyOf(rule) !== key && selectorOf(rule) === selectorOf(object),
  );
  const older = others.filter((rule) => byAge(rule, object) < 0);
  const siblings = [...others, object].sort(byAge);
  // A wildcard's own place is below the exact hosts, which are not looked at here.
  const hidden =
    older.length > 0 || object.spec.workloadSelector !== undefined
      ? []
      : [...lookup(index, namespace, host, entry?.namespace)].filter(
          (group) => group.namespace !== namespace || group.host !== host,
        );
  return [
    ...findings,
    ...checkOlder(index, object, older),
    ...(namespace === index.mesh.rootNamespace
      ? checkHidden(
          siblings,
          hidden.filter((group) => group.namespace === namespace),
        )
      : checkHidden(siblings, hidden)),
    ...(entry === undefined ? [] : [...checkSubsets(index, object, entry), ...checkTls(index, object, entry)]),
  ];
};
