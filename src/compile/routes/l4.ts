import { create, type UnknownField } from "@bufbuild/protobuf";
import type { ResolvedVirtualService } from "../../model/virtual-service.js";
import type { Destination, WeightedDestination } from "../../model/virtual-service-rules.js";
import { type Filter, FilterSchema } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { TcpProxySchema } from "../../proto/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { packed } from "../encode.js";
import type { Init } from "../init.js";
import { effectiveDestinations } from "./action.js";
import { type CidrRange, cidrKey, cidrRange } from "./cidr.js";
import { isForProxy, type MatchContext } from "./match.js";

export interface L4Context extends MatchContext {
  readonly clusterOf: (destination: Destination) => string;
}

export interface WeightedClusterName {
  readonly name: string;
  readonly weight: number;
}

/** One filter chain's worth: no two of a rule match the same connection by the same words. */
export interface L4Route {
  /** `name.namespace` of the VirtualService, for statistics. */
  readonly name: string;
  readonly match: { readonly serverNames?: string[]; readonly prefixRanges?: CidrRange[] };
  readonly clusters: readonly WeightedClusterName[];
  /** The first of them. */
  readonly destination: Destination;
}

const clustersOf = (route: readonly WeightedDestination[], context: L4Context): readonly WeightedClusterName[] =>
  effectiveDestinations(route).map(({ destination, weight }) => ({
    name: context.clusterOf(destination),
    weight: Math.max(weight, 1),
  }));

/** Stands for any name, any range: no condition. */
export const any = "";

/** Envoy refuses a listener with two chains for the same name and range: the first one keeps it. */
export const createTaken = () => {
  const taken = new Set<string>();
  return (serverName: string, range: string): boolean => taken.size < taken.add(`${serverName} ${range}`).size;
};

/** Server names that are left the same ranges go together. */
export const grouped = (
  serverNames: readonly string[],
  ranges: readonly string[],
  take: ReturnType<typeof createTaken>,
) => {
  const groups = new Map<string, { readonly names: string[]; readonly ranges: readonly string[] }>();
  for (const name of serverNames) {
    const left = ranges.filter((range) => take(name, range));
    if (left.length === 0) continue;
    const key = left.join(" ");
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { names: [name], ranges: left });
    else group.names.push(name);
  }
  return [...groups.values()];
};

export const matchOf = (names: readonly string[], ranges: readonly string[]): L4Route["match"] => ({
  ...(names.includes(any) ? {} : { serverNames: [...names] }),
  ...(ranges.includes(any) ? {} : { prefixRanges: ranges.map(cidrRange) }),
});

/** A star alone is no condition; Envoy knows no other than `*.` at the beginning. */
const serverNamesOf = (sniHosts: readonly string[]): readonly string[] =>
  sniHosts.includes("*") ? [any] : sniHosts.filter((host) => !host.includes("*") || host.startsWith("*."));

const rangesOf = (subnets: readonly string[]): readonly string[] =>
  subnets.length === 0 ? [any] : [...new Set(subnets.map(cidrKey))];

const isForGateways = (rule: ResolvedVirtualService, { gateways }: MatchContext): boolean =>
  rule.gateways.some((gateway) => gateways.has(gateway));

const nameOf = ({ name, namespace }: ResolvedVirtualService): string => `${name}.${namespace}`;

/** TLS that passes through unopened, by server name and address. */
export const tlsRoutes = (rule: ResolvedVirtualService, context: L4Context): readonly L4Route[] => {
  if (!isForGateways(rule, context)) return [];
  const take = createTaken();
  return rule.tls.flatMap(({ match, route }) => {
    const clusters = clustersOf(route, context);
    if (clusters.length === 0) return [];
    return match
      .filter((each) => isForProxy(each, context))
      .flatMap(({ sniHosts, destinationSubnets }) =>
        grouped(serverNamesOf(sniHosts), rangesOf(destinationSubnets), take).map(({ names, ranges }) => ({
          name: nameOf(rule),
          match: matchOf(names, ranges),
          clusters,
          destination: route[0]!.destination,
        })),
      );
  });
};

/** Other TCP, by address, up to the first that takes every connection. */
export const tcpRoutes = (rule: ResolvedVirtualService, context: L4Context): readonly L4Route[] => {
  if (!isForGateways(rule, context)) return [];
  const take = createTaken();
  const routes: L4Route[] = [];
  for (const { match, route } of rule.tcp) {
    const clusters = clustersOf(route, context);
    const fitting = match.filter((each) => isForProxy(each, context));
    if (clusters.length === 0 || (match.length > 0 && fitting.length === 0)) continue;
    const isGeneral = match.length === 0 || fitting.some(({ destinationSubnets }) => destinationSubnets.length === 0);
    const subnets = isGeneral ? [] : fitting.flatMap(({ destinationSubnets }) => destinationSubnets);
    for (const { ranges } of grouped([any], rangesOf(subnets), take))
      routes.push({
        name: nameOf(rule),
        match: matchOf([any], ranges),
        clusters,
        destination: route[0]!.destination,
      });
    if (isGeneral) break;
  }
  return routes;
};

/** The TCP proxy to one cluster or, by share, to several; `options` are other fields of TcpProxy. */
export const weightedTcpProxy = (
  clusters: readonly WeightedClusterName[],
  options: Init<typeof TcpProxySchema> = {},
  statPrefix: string = clusters[0]?.name ?? "",
  newerFields: readonly UnknownField[] = [],
): Filter => {
  const [only] = clusters;
  const proxy = create(TcpProxySchema, {
    ...options,
    statPrefix,
    clusterSpecifier:
      clusters.length === 1 && only !== undefined
        ? { case: "cluster", value: only.name }
        : {
            case: "weightedClusters",
            value: { clusters: clusters.map(({ name, weight }) => ({ name, weight })) },
          },
  });
  if (newerFields.length > 0) proxy.$unknown = [...newerFields];
  return create(FilterSchema, {
    name: "envoy.filters.network.tcp_proxy",
    configType: {
      case: "typedConfig",
      value: packed(TcpProxySchema, proxy),
    },
  });
};
