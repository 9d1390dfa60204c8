import type { FilterChain } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../proto/envoy/config/listener/v3/listener_pb.js";
import { attempt, isMerge, newValue, patchObject } from "./apply.js";
import { chainsProblem, listenerProblem, orderProblem } from "./chains.js";
import { patchListenerFilters, patchNetworkFilters } from "./filters.js";
import { matchesChain, matchesListener, type PatchContext, patchesFor } from "./match.js";
import { isEmpty, type PatchSet } from "./patches.js";
import { type PatchReport, unreported } from "./report.js";

/** Envoy takes no listener without a chain: the removals that would leave none are not done. */
const patchChains = (set: PatchSet, context: PatchContext, listener: Listener, report: PatchReport): Listener => {
  const patches = patchesFor(set, "FILTER_CHAIN", context).filter((patch) => matchesListener(patch, listener));
  const onChain = (chain: FilterChain) =>
    patches.filter((patch) => patch.operation !== "ADD" && matchesChain(patch, listener, chain));
  const isKept = (chain: FilterChain): boolean => onChain(chain).every(({ operation }) => operation !== "REMOVE");
  const chains = [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])];
  const additions = patches.filter(({ operation }) => operation === "ADD");
  const mayRemove =
    chains.some(isKept) || additions.some((patch) => chainsProblem([newValue<FilterChain>(patch)]) === undefined);
  const settled = [...listener.filterChains];
  const patched = (chain: FilterChain): FilterChain | undefined => {
    const label = `filter chain ${chain.name} of listener ${listener.name}`;
    const own = onChain(chain);
    if (!mayRemove)
      for (const patch of own.filter(({ operation }) => operation === "REMOVE"))
        report.failed(patch, label, "the listener would be left with no filter chain; remove the listener instead");
    const place = settled.indexOf(chain);
    const after = patchObject(chain, label, mayRemove ? own : own.filter(isMerge), report, (next) =>
      place < 0 ? orderProblem(next) : chainsProblem(settled.map((other, index) => (index === place ? next : other))),
    );
    if (place >= 0 && after === undefined) settled.splice(place, 1);
    else if (place >= 0) settled[place] = after!;
    return after === undefined ? undefined : patchNetworkFilters(set, context, listener, after, label, report);
  };
  const filterChains = listener.filterChains.map(patched);
  const defaultFilterChain = listener.defaultFilterChain && patched(listener.defaultFilterChain);
  const unchanged =
    filterChains.every((chain, index) => chain === listener.filterChains[index]) &&
    defaultFilterChain === listener.defaultFilterChain;
  const { defaultFilterChain: _before, ...rest } = listener;
  const edited: Listener = unchanged
    ? listener
    : {
        ...rest,
        filterChains: filterChains.filter((chain) => chain !== undefined),
        ...(defaultFilterChain === undefined ? {} : { defaultFilterChain }),
      };
  return additions.reduce(
    (current, patch) =>
      attempt(
        patch,
        current,
        `listener ${listener.name}`,
        report,
        (before) => ({ ...before, filterChains: [...before.filterChains, newValue<FilterChain>(patch)] }),
        listenerProblem,
      ),
    edited,
  );
};

/** A listener after all patches for it, the same object if there are none; undefined when it is removed. */
export const patchListener = (
  set: PatchSet,
  context: PatchContext,
  listener: Listener,
  report: PatchReport = unreported,
): Listener | undefined => {
  if (isEmpty(set)) return listener;
  const label = `listener ${listener.name}`;
  const patches = patchesFor(set, "LISTENER", context).filter(
    (patch) => patch.operation !== "ADD" && matchesListener(patch, listener),
  );
  const after = patchObject(listener, label, patches, report, (next) =>
    next.name === listener.name
      ? listenerProblem(next)
      : `its name cannot become ${next.name}; leave name out of the value`,
  );
  if (after === undefined) return undefined;
  return patchChains(set, context, patchListenerFilters(set, context, after, label, report), report);
};
