import { error, member, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import type { LocalityLbSetting, ZoneAwareLbSetting } from "./load-balancer.js";

const topologyLabels: ReadonlySet<string> = new Set([
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "topology.istio.io/subzone",
]);

const keyOf = (label: string): string => label.split("=")[0]!;

/** `region`, `region/zone` or `region/zone/subzone`, or fewer of them and `*`. */
const isLocality = (locality: string): boolean =>
  /^(\*|[^/*]+(\/[^/*]+){0,1}(\/\*)?|[^/*]+\/[^/*]+\/[^/*]+)$/.test(locality);

const partsOf = (locality: string): readonly string[] => locality.split("/").filter((part) => part !== "*");
const covers = (wide: string, narrow: string): boolean =>
  partsOf(wide).every((part, index) => partsOf(narrow)[index] === part);

const checkLocalities = (
  entries: readonly { readonly path: string; readonly locality: string }[],
): readonly Finding[] =>
  entries.flatMap(({ path, locality }, index): readonly Finding[] => {
    if (!isLocality(locality))
      return [error(path, `${show(locality)} is no locality: write region/zone/subzone, or less of it and /*`)];
    const other = entries
      .slice(0, index)
      .find((earlier) => covers(earlier.locality, locality) || covers(locality, earlier.locality));
    return other === undefined
      ? []
      : [error(path, `${show(locality)} overlaps with ${show(other.locality)}: name each locality once`)];
  });

const checkFailover = (path: string, failover: LocalityLbSetting["failover"]): readonly Finding[] => {
  const seen = new Set<string>();
  return (failover ?? []).flatMap(({ from = "", to = "" }, index) => {
    const at = `${path}.failover[${index}]`;
    const findings: Finding[] = [];
    for (const [field, region] of [
      ["from", from],
      ["to", to],
    ] as const)
      if (region === "" || /[/*]/.test(region))
        findings.push(error(`${at}.${field}`, `${show(region)} is no region: name one without zone and wildcard`));
    if (from === to && from !== "")
      findings.push(error(`${at}.to`, `${show(to)} is where it failed: name another region`));
    if (seen.has(from))
      findings.push(warning(`${at}.from`, `${show(from)} has an entry already, which wins: remove this`));
    seen.add(from);
    return findings;
  });
};

const checkPriorityLabels = (path: string, labels: readonly string[] | undefined): readonly Finding[] => {
  const seen = new Set<string>();
  return (labels ?? []).flatMap((label, index) => {
    const key = keyOf(label);
    const at = `${path}.failoverPriority[${index}]`;
    if (key === "" || label.split("=").length > 2)
      return [error(at, `${show(label)} is no label: write key or key=value`)];
    if (seen.has(key)) return [warning(at, `${show(key)} is there already and adds nothing: remove it`)];
    seen.add(key);
    return [];
  });
};

const needsOutlierDetection = (
  path: string,
  { failover, failoverPriority }: Pick<LocalityLbSetting, "failover" | "failoverPriority">,
): readonly Finding[] =>
  [["failover", failover] as const, ["failoverPriority", failoverPriority] as const]
    .filter(([, list]) => (list?.length ?? 0) > 0)
    .map(([field]) =>
      warning(
        `${path}.${field}`,
        "no effect without outlierDetection, which finds what has failed: add it to the policy",
      ),
    );

export const checkLocality = (
  path: string,
  setting: LocalityLbSetting | undefined,
  hasOutlierDetection: boolean,
): readonly Finding[] => {
  if (setting === undefined) return [];
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  const findings: Finding[] = [];
  for (const [field, list] of [
    ["failover", failover],
    ["failoverPriority", failoverPriority],
  ] as const)
    if (distribute.length > 0 && list.length > 0)
      findings.push(error(`${path}.${field}`, `${show(list)} contradicts distribute: remove one of the two`));
  if (failover.length > 0)
    failoverPriority.forEach((label, index) => {
      if (topologyLabels.has(keyOf(label)))
        findings.push(
          error(
            `${path}.failoverPriority[${index}]`,
            `${show(label)} contradicts failover, which orders localities: remove one of the two`,
          ),
        );
    });
  distribute.forEach(({ to = {} }, index) => {
    const at = `${path}.distribute[${index}].to`;
    const shares = Object.entries(to);
    for (const [locality, share] of shares)
      if (share < 1 || share > 100)
        findings.push(
          error(member(at, locality), `${share} is no share: give 1 to 100 percent, or leave the locality out`),
        );
    const total = shares.reduce((sum, [, share]) => sum + share, 0);
    if (total !== 100) findings.push(error(at, `the shares add up to ${total}: make them 100`));
    findings.push(...checkLocalities(shares.map(([locality]) => ({ path: member(at, locality), locality }))));
  });
  findings.push(
    ...checkLocalities(
      distribute.map(({ from = "" }, index) => ({ path: `${path}.distribute[${index}].from`, locality: from })),
    ),
    ...checkFailover(path, failover),
    ...checkPriorityLabels(path, failoverPriority),
    ...(hasOutlierDetection ? [] : needsOutlierDetection(path, setting)),
  );
  return findings;
};

export const checkZoneAware = (
  path: string,
  setting: ZoneAwareLbSetting | undefined,
  hasOutlierDetection: boolean,
): readonly Finding[] => {
  if (setting === undefined) return [];
  const findings: Finding[] = [
    ...checkFailover(path, setting.failover),
    ...checkPriorityLabels(path, setting.failoverPriority),
    ...(hasOutlierDetection ? [] : needsOutlierDetection(path, setting)),
  ];
  setting.failoverPriority?.forEach((label, index) => {
    if (topologyLabels.has(keyOf(label)))
      findings.push(
        error(`${path}.failoverPriority[${index}]`, `${show(label)} is looked at anyway, and first: remove it`),
      );
  });
  if (setting.enabled !== false)
    findings.push(
      warning(
        path,
        "only the preference for the client's region has effect, zones within it share the load evenly: for zones use localityLbSetting",
      ),
    );
  return findings;
};
