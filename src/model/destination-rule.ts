import type { MeshConfig } from "../api/meshconfig.js";
import type { DestinationRule } from "../api/networking/destination-rule.js";
import { type MergedDestinationRule, mergeRules } from "./destination-rule-merge.js";
import { isWithin, qualifiedHost } from "./host.js";
import { isExportedTo } from "./hosts.js";
import { selectsOrAll } from "./selector.js";
import type { MeshService } from "./service.js";

export type { MergedDestinationRule } from "./destination-rule-merge.js";
export { endpointsOfSubset, policyFor } from "./traffic-policy.js";

/** The proxy that asks. */
export interface DestinationRuleClient {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Rules of one namespace by host, merged when first asked for and remembered. */
export interface NamespaceDestinationRules {
  /** The rules with some changed, by name; shares what of the others is merged already. */
  readonly with: (changes: ReadonlyMap<string, DestinationRule | undefined>) => NamespaceDestinationRules;
  readonly size: number;
  /** Hosts with a rule, fully qualified. */
  readonly hosts: () => Iterable<string>;
  /** The hosts that the rule of this name is about: one, or none if there is no such rule. */
  readonly hostsOf: (name: string) => readonly string[];
  /** All that the rules say of exactly this host, one for each audience, the one that counts first. */
  readonly merged: (host: string) => readonly MergedDestinationRule[];
  /** The rule of the most specific host that covers this one and is exported to the client, of `scope`. */
  readonly find: (
    host: string,
    client: DestinationRuleClient,
    scope?: "exported" | "private",
  ) => MergedDestinationRule | undefined;
}

interface Index {
  readonly rules: ReadonlyMap<string, DestinationRule>;
  readonly namesByHost: ReadonlyMap<string, ReadonlySet<string>>;
  /** Longest first, then by text. */
  readonly wildcards: readonly string[];
  readonly mergedByHost: Map<string, readonly MergedDestinationRule[]>;
  /** What was merged of hosts that changed since: if it comes out the same, it stays the same object. */
  readonly outdated: Map<string, readonly MergedDestinationRule[]>;
}

const isFor = (rule: MergedDestinationRule, client: DestinationRuleClient): boolean =>
  isExportedTo(rule.exportTo, client.namespace) && selectsOrAll(rule.workloadSelector, client.labels);

const isPrivate = ({ exportTo, namespace }: MergedDestinationRule): boolean =>
  exportTo.size === 1 && exportTo.has(namespace);

const textOf = (rule: MergedDestinationRule): string => JSON.stringify({ ...rule, exportTo: [...rule.exportTo] });

/** The earlier objects where nothing differs. */
const reuse = (
  next: readonly MergedDestinationRule[],
  before: readonly MergedDestinationRule[] | undefined,
): readonly MergedDestinationRule[] => {
  const known = new Map(before?.map((rule) => [textOf(rule), rule]));
  return next.map((rule) => known.get(textOf(rule)) ?? rule);
};

const wildcardsOf = (hosts: Iterable<string>): readonly string[] =>
  [...hosts].filter((host) => host.startsWith("*")).sort((a, b) => b.length - a.length || (a < b ? -1 : 1));

const create = (index: Index, namespace: string, mesh: MeshConfig): NamespaceDestinationRules => {
  const { rules, namesByHost, wildcards, mergedByHost, outdated } = index;
  const hostOf = (rule: DestinationRule): string => qualifiedHost(rule.spec.host, namespace, mesh.clusterDomain);

  const merged = (host: string): readonly MergedDestinationRule[] => {
    const known = mergedByHost.get(host);
    if (known !== undefined) return known;
    const sources = [...(namesByHost.get(host) ?? [])].map((name) => rules.get(name)!);
    const fresh = reuse(mergeRules(host, namespace, sources, mesh.defaultDestinationRuleExportTo), outdated.get(host));
    outdated.delete(host);
    if (sources.length > 0) mergedByHost.set(host, fresh);
    return fresh;
  };

  /** Exact, then the longest wildcard. */
  const covering = function* (host: string): Generator<string> {
    if (namesByHost.has(host)) yield host;
    for (const wildcard of wildcards) if (wildcard !== host && isWithin(host, wildcard)) yield wildcard;
  };

  return {
    size: rules.size,
    hosts: () => namesByHost.keys(),
    hostsOf: (name) => {
      const rule = rules.get(name);
      return rule === undefined ? [] : [hostOf(rule)];
    },
    merged,
    find: (host, client, scope = "exported") => {
      for (const candidate of covering(host.toLowerCase()))
        for (const rule of merged(candidate))
          if (isFor(rule, client) && (scope === "exported" || isPrivate(rule))) return rule;
      return undefined;
    },
    with: (changes) => {
      const nextRules = new Map(rules);
      const touched = new Map<string, Set<string>>();
      const touch = (host: string): Set<string> => {
        const names = touched.get(host) ?? new Set(namesByHost.get(host));
        touched.set(host, names);
        return names;
      };
      for (const [name, rule] of changes) {
        const before = nextRules.get(name);
        if (before !== undefined) touch(hostOf(before)).delete(name);
        if (rule === undefined) nextRules.delete(name);
        else {
          nextRules.set(name, rule);
          touch(hostOf(rule)).add(name);
        }
      }
      if (touched.size === 0) return create(index, namespace, mesh);
      const nextNames = new Map(namesByHost);
      const nextMerged = new Map(mergedByHost);
      const nextOutdated = new Map(outdated);
      for (const [host, names] of touched) {
        if (names.size === 0) nextNames.delete(host);
        else nextNames.set(host, names);
        const known = nextMerged.get(host);
        if (known !== undefined) nextOutdated.set(host, known);
        nextMerged.delete(host);
        if (names.size === 0) nextOutdated.delete(host);
      }
      const hostsChanged = [...touched.keys()].some((host) => host.startsWith("*"));
      return create(
        {
          rules: nextRules,
          namesByHost: nextNames,
          wildcards: hostsChanged ? wildcardsOf(nextNames.keys()) : wildcards,
          mergedByHost: nextMerged,
          outdated: nextOutdated,
        },
        namespace,
        mesh,
      );
    },
  };
};

export const emptyDestinationRules = (namespace: string, mesh: MeshConfig): NamespaceDestinationRules =>
  create(
    { rules: new Map(), namesByHost: new Map(), wildcards: [], mergedByHost: new Map(), outdated: new Map() },
    namespace,
    mesh,
  );

/**
 * The one rule that governs a client's traffic to a service: of the client's namespace, else of the service's, else of the
 * root namespace; the first of these that has any wins as a whole. Clients in the root namespace begin with the rules that
 * are private there, since the others are meant for everyone else. Equal inputs give the identical object.
 */
export const findDestinationRule = (
  rules: ReadonlyMap<string, NamespaceDestinationRules>,
  client: DestinationRuleClient,
  service: Pick<MeshService, "host" | "namespace">,
  rootNamespace: string,
): MergedDestinationRule | undefined => {
  const own = client.namespace === rootNamespace ? ("private" as const) : ("exported" as const);
  return (
    rules.get(client.namespace)?.find(service.host, client, own) ??
    rules.get(service.namespace)?.find(service.host, client) ??
    rules.get(rootNamespace)?.find(service.host, client)
  );
};
