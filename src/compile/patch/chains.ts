import type { CidrRange } from "../../proto/envoy/config/core/v3/address_pb.js";
import type { FilterChain } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../proto/envoy/config/listener/v3/listener_pb.js";
import { endsWell } from "./terminal.js";

const ranges = (list: readonly CidrRange[]): readonly string[] =>
  list.map(({ addressPrefix, prefixLen }) => `${addressPrefix}/${prefixLen ?? 0}`);

/** Beyond this many combinations only the proxy judges. */
const maximumKeys = 4096;

/** Each combination of what the chain matches; Envoy takes none twice in a listener, not even in one chain. */
const matchKeys = ({ filterChainMatch: match }: FilterChain): readonly string[] => {
  if (match === undefined) return [""];
  const parts: readonly (readonly (string | number)[])[] = [
    [match.destinationPort ?? ""],
    ranges(match.prefixRanges),
    match.serverNames,
    [match.transportProtocol],
    match.applicationProtocols,
    ranges(match.directSourcePrefixRanges),
    [match.sourceType],
    ranges(match.sourcePrefixRanges),
    match.sourcePorts,
  ];
  if (parts.reduce((count, part) => count * Math.max(1, part.length), 1) > maximumKeys) return [];
  const everything = parts.reduce<readonly string[]>(
    (keys, part) => keys.flatMap((key) => (part.length === 0 ? [`${key} `] : part.map((value) => `${key} ${value}`))),
    [""],
  );
  return everything.map((key) => key.replace(/^[ 0]*$/, ""));
};

export const orderProblem = ({ filters }: FilterChain): string | undefined =>
  filters.length === 0 || endsWell(filters, "network")
    ? undefined
    : "the last filter of a chain, and only that, ends the traffic's way, as tcp_proxy does; put others before it";

/** What Envoy would refuse in the chains of a listener. */
export const chainsProblem = (chains: readonly FilterChain[]): string | undefined => {
  const holders = new Map<string, string>();
  for (const chain of chains) {
    for (const key of matchKeys(chain)) {
      const holder = holders.get(key);
      if (holder !== undefined)
        return `filter chain ${chain.name} would match what ${holder} does; give it a filter_chain_match of its own`;
      holders.set(key, chain.name);
    }
    const problem = orderProblem(chain);
    if (problem !== undefined) return problem;
  }
  return undefined;
};

export const listenerProblem = ({ filterChains, defaultFilterChain }: Listener): string | undefined =>
  chainsProblem(filterChains) ?? (defaultFilterChain === undefined ? undefined : orderProblem(defaultFilterChain));
