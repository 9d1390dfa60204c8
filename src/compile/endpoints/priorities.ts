import type { Endpoint } from "../../model/service.js";
import { type LocalityRule, priorityLabelsOf } from "./locality.js";

export interface ProxyLocality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** What of a proxy its endpoints may be ranked by. */
export interface ProxyContext {
  readonly locality: ProxyLocality;
  readonly labels: Readonly<Record<string, string>>;
  readonly nodeName?: string | undefined;
}

/** Endpoints of one locality and one rank; the lower the priority, the sooner they are used. */
export interface EndpointGroup extends ProxyLocality {
  readonly priority: number;
  readonly weight: number;
  readonly members: readonly Endpoint[];
}

type TopologyOf = (locality: ProxyLocality, nodeName: string | undefined) => string;

const topology: ReadonlyMap<string, TopologyOf> = new Map<string, TopologyOf>([
  ["topology.kubernetes.io/region", ({ region }) => region],
  ["topology.kubernetes.io/zone", ({ zone }) => zone],
  ["topology.istio.io/subzone", ({ subzone }) => subzone],
  ["kubernetes.io/hostname", (_, nodeName) => nodeName ?? ""],
]);

const networkLabel = "topology.istio.io/network";

const labelOf = (
  label: string,
  labels: Readonly<Record<string, string>>,
  locality: ProxyLocality,
  nodeName: string | undefined,
): string => topology.get(label)?.(locality, nodeName) ?? labels[label] ?? "";

/** The sooner the labels part, the later the endpoint's turn; another network comes after all else. */
const labelRank = (endpoint: Endpoint, labels: readonly string[], proxy: ProxyContext): number => {
  let penalty = 0;
  for (const [index, entry] of labels.entries()) {
    const [label = "", value] = entry.split("=");
    const wanted = value ?? labelOf(label, proxy.labels, proxy.locality, proxy.nodeName);
    if (wanted === labelOf(label, endpoint.labels, endpoint, endpoint.nodeName)) continue;
    if (index > 0 || label !== networkLabel) return labels.length - index + penalty;
    penalty = labels.length;
  }
  return penalty;
};

/** 0 the same subzone, 1 zone, 2 region, 3 another region or the one that stands in, 4 others where one stands in. */
const localityRank = (
  endpoint: ProxyLocality,
  { region, zone, subzone }: ProxyLocality,
  failover: readonly { readonly from?: string; readonly to?: string }[],
): number => {
  if (endpoint.region === region) {
    if (endpoint.zone !== zone) return 2;
    return endpoint.subzone === subzone ? 0 : 1;
  }
  const entry = failover.find(({ from }) => from === region);
  return entry === undefined || entry.to === endpoint.region ? 3 : 4;
};

const regionRank = (
  endpoint: ProxyLocality,
  { region }: ProxyLocality,
  failover: readonly { readonly from?: string; readonly to?: string }[],
): number => {
  if (endpoint.region === region) return 0;
  return failover.find(({ from }) => from === region)?.to === endpoint.region ? 1 : 2;
};

/** The rank of an endpoint for a proxy; ranks may have gaps. */
const rankOf = (endpoint: Endpoint, rule: LocalityRule, proxy: ProxyContext): number => {
  switch (rule.kind) {
    case "none":
    case "distribute":
      return 0;
    case "zoneAware": {
      const byLabels = labelRank(endpoint, priorityLabelsOf(rule), proxy);
      return byLabels * 3 + regionRank(endpoint, proxy.locality, rule.setting.failover ?? []);
    }
    case "failover": {
      if (rule.failoverPriority.length === 0) return localityRank(endpoint, proxy.locality, rule.failover);
      const byLabels = labelRank(endpoint, rule.failoverPriority, proxy);
      return rule.failover.length === 0
        ? byLabels
        : byLabels * 5 + localityRank(endpoint, proxy.locality, rule.failover);
    }
  }
};

const matches = (locality: ProxyLocality, pattern: string): boolean => {
  const [region = "", zone = "", subzone = ""] = pattern.split("/");
  const fits = (wanted: string, is: string, isOptional: boolean): boolean =>
    wanted === "*" || (isOptional && wanted === "") || wanted === is;
  return (
    fits(region, locality.region, false) && fits(zone, locality.zone, true) && fits(subzone, locality.subzone, true)
  );
};

/** The more a pattern says, the sooner it is asked. */
const specificity = (pattern: string): number =>
  pattern.split("/").filter((part) => part !== "" && part !== "*").length;

/** Shares by locality: one that no entry names gets nothing; one entry for several is shared by their weights. */
const distributed = (
  groups: readonly EndpointGroup[],
  rule: Extract<LocalityRule, { kind: "distribute" }>,
  locality: ProxyLocality,
): readonly EndpointGroup[] => {
  const entry = rule.distribute.find(({ from = "" }) => matches(locality, from));
  if (entry === undefined) return groups;
  const patterns = Object.keys(entry.to ?? {}).sort((a, b) => specificity(b) - specificity(a) || (a < b ? -1 : 1));
  const patternOf = (group: EndpointGroup): string | undefined => patterns.find((pattern) => matches(group, pattern));
  const totals = new Map<string | undefined, number>();
  for (const group of groups) totals.set(patternOf(group), (totals.get(patternOf(group)) ?? 0) + group.weight);
  return groups.flatMap((group) => {
    const pattern = patternOf(group);
    const share = pattern === undefined ? 0 : (entry.to?.[pattern] ?? 0);
    return share <= 0 ? [] : [{ ...group, weight: Math.ceil((share * group.weight) / totals.get(pattern)!) }];
  });
};

/** The same order without gaps, as Envoy demands: 0, 1, 2… */
const withoutGaps = (groups: readonly EndpointGroup[]): readonly EndpointGroup[] => {
  const ranks = [...new Set(groups.map(({ priority }) => priority))].sort((a, b) => a - b);
  return groups.map((group) => ({ ...group, priority: ranks.indexOf(group.priority) }));
};

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Endpoints by rank and locality, as the proxy should use them; without a proxy by locality alone. Deterministic. */
export const endpointGroups = (
  endpoints: readonly Endpoint[],
  rule: LocalityRule,
  proxy: ProxyContext | undefined,
): readonly EndpointGroup[] => {
  const groups = new Map<string, { readonly of: Endpoint; readonly priority: number; readonly members: Endpoint[] }>();
  for (const endpoint of endpoints) {
    const priority = proxy === undefined ? 0 : rankOf(endpoint, rule, proxy);
    const key = JSON.stringify([priority, endpoint.region, endpoint.zone, endpoint.subzone]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { of: endpoint, priority, members: [endpoint] });
    else group.members.push(endpoint);
  }
  const listed = [...groups.values()]
    .map(({ of: { region, zone, subzone }, priority, members }) => ({
      region,
      zone,
      subzone,
      priority,
      members,
      weight: members.reduce((sum, { weight }) => sum + Math.max(1, weight), 0),
    }))
    .sort(
      (a, b) =>
        a.priority - b.priority ||
        compare(a.region, b.region) ||
        compare(a.zone, b.zone) ||
        compare(a.subzone, b.subzone),
    );
  const shared = rule.kind === "distribute" && proxy !== undefined ? distributed(listed, rule, proxy.locality) : listed;
  return withoutGaps(shared);
};
