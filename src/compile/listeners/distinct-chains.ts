import { create, toJsonString } from "@bufbuild/protobuf";
import { CidrRangeSchema } from "../../proto/envoy/config/core/v3/address_pb.js";
import {
  type FilterChain,
  FilterChainMatchSchema,
  FilterChainSchema,
} from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { cidrKey } from "../routes/cidr.js";
import { any, createTaken, grouped, matchOf } from "../routes/l4.js";

/**
 * Envoy refuses a whole listener for one server name, or one address range, that two of its chains match alike: the first
 * one keeps it, and a chain that is left nothing goes.
 */
export const distinctChains = (chains: readonly FilterChain[]): readonly FilterChain[] => {
  const takenBeside = new Map<string, ReturnType<typeof createTaken>>();
  return chains.flatMap((chain) => {
    const match = chain.filterChainMatch ?? create(FilterChainMatchSchema);
    const { serverNames, prefixRanges } = match;
    const rest = toJsonString(
      FilterChainMatchSchema,
      create(FilterChainMatchSchema, { ...match, serverNames: [], prefixRanges: [] }),
    );
    const take = takenBeside.get(rest) ?? createTaken();
    takenBeside.set(rest, take);
    const names = serverNames.length === 0 ? [any] : serverNames;
    const ranges =
      prefixRanges.length === 0
        ? [any]
        : prefixRanges.map(({ addressPrefix, prefixLen }) => cidrKey(`${addressPrefix}/${prefixLen ?? 0}`));
    const groups = grouped(names, ranges, take);
    const [first] = groups;
    if (groups.length === 1 && first?.names.length === names.length && first.ranges.length === ranges.length)
      return chain;
    return groups.map((group, index) => {
      const own = matchOf(group.names, group.ranges);
      return create(FilterChainSchema, {
        ...chain,
        name: index === 0 ? chain.name : `${chain.name}-${index}`,
        filterChainMatch: create(FilterChainMatchSchema, {
          ...match,
          serverNames: own.serverNames ?? [],
          prefixRanges: (own.prefixRanges ?? []).map((range) => create(CidrRangeSchema, range)),
        }),
      });
    });
  });
};
