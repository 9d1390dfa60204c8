import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import type {
  Filter,
  FilterChain,
  ListenerFilter,
} from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../proto/envoy/config/listener/v3/listener_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type HttpFilter,
} from "../../proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { authenticationFilters, authorizationFilters } from "../policy/slots.js";
import { attempt, isMerge, mapped, mergedBy } from "./apply.js";
import { matchesChain, matchesListener, type PatchContext, patchesFor } from "./match.js";
import { areMergeable } from "./merge.js";
import { canonicalName, type FilterLevel } from "./names.js";
import type { CompiledPatch, PatchSet } from "./patches.js";
import type { PatchReport } from "./report.js";
import { patchRouteConfiguration } from "./routes.js";
import { editSequence } from "./sequence.js";
import { endsWell, isRouter, isTerminalNetwork } from "./terminal.js";
import { typeNameOf } from "./types.js";

type AnyFilter = Filter | HttpFilter | ListenerFilter;

const configOf = ({ configType }: AnyFilter): Any | undefined =>
  configType.case === "typedConfig" ? configType.value : undefined;

const sameName = (wanted: string | undefined, filter: AnyFilter, level: FilterLevel): boolean =>
  wanted === undefined || wanted === "" || canonicalName(wanted, level) === canonicalName(filter.name, level);

const named = (name: string | undefined): string | undefined => (name === "" ? undefined : name);

const networkAnchor = ({ match }: CompiledPatch): string | undefined =>
  named(match.listener?.filterChain?.filter?.name);
const httpAnchor = ({ match }: CompiledPatch): string | undefined =>
  named(match.listener?.filterChain?.filter?.subFilter?.name);
const listenerAnchor = ({ match }: CompiledPatch): string | undefined => named(match.listener?.listenerFilter);

/** One filter after the merges that are meant for it: of that name, and of a configuration that fits. */
const mergeFilter = <T extends AnyFilter & Message>(
  filter: T,
  patches: readonly CompiledPatch[],
  anchorOf: (patch: CompiledPatch) => string | undefined,
  level: FilterLevel,
  label: string,
  report: PatchReport,
): T =>
  patches.filter(isMerge).reduce((current, patch) => {
    const anchor = anchorOf(patch);
    if (!sameName(anchor, current, level)) {
      report.missed(patch, `${label} has no ${anchor}, which match names`);
      return current;
    }
    if (current.configType.case === "configDiscovery") {
      if (anchor !== undefined)
        report.failed(patch, label, `${current.name} is what security policies say; write one, or use REPLACE`);
      return current;
    }
    const own = configOf(current);
    const given = configOf(patch.value as AnyFilter & Message);
    const fits = own === undefined || given === undefined || areMergeable(own, given);
    if (fits) return attempt(patch, current, label, report, (before) => mergedBy(patch, before));
    const reason = `${current.name} is configured by ${typeNameOf(own.typeUrl)}, not ${typeNameOf(given.typeUrl)}; use REPLACE`;
    if (anchor === undefined) report.missed(patch, reason);
    else report.failed(patch, label, reason);
    return current;
  }, filter);

const afterLast = (items: readonly HttpFilter[], names: readonly string[]): number =>
  items.findLastIndex(({ name }) => names.includes(canonicalName(name, "http"))) + 1;

const authorization = [...authenticationFilters, ...authorizationFilters, "envoy.filters.http.ext_authz"];

const placeByClass = ({ filterClass }: CompiledPatch, items: readonly HttpFilter[]): number | undefined => {
  if (filterClass === "AUTHN") return afterLast(items, authenticationFilters);
  if (filterClass === "AUTHZ") return afterLast(items, authorization);
  return undefined;
};

const patchManager = (
  manager: HttpConnectionManager,
  patches: readonly CompiledPatch[],
  set: PatchSet,
  context: PatchContext,
  label: string,
  report: PatchReport,
): HttpConnectionManager => {
  const edits = patches.filter((patch) => !isMerge(patch));
  const edited = editSequence(
    manager.httpFilters,
    edits,
    {
      label,
      anchorOf: httpAnchor,
      matches: (patch, filter) => sameName(httpAnchor(patch), filter, "http"),
      isTerminal: isRouter,
      endsWell: (filters) => endsWell(filters, "http"),
      placeOf: placeByClass,
    },
    report,
  );
  const httpFilters = mapped(edited, (filter) => mergeFilter(filter, patches, httpAnchor, "http", label, report));
  const inline = manager.routeSpecifier.case === "routeConfig" ? manager.routeSpecifier.value : undefined;
  const routes = inline === undefined ? undefined : patchRouteConfiguration(set, context, inline, report);
  if (httpFilters === manager.httpFilters && routes === inline) return manager;
  return {
    ...manager,
    httpFilters,
    ...(routes === undefined ? {} : { routeSpecifier: { case: "routeConfig", value: routes } }),
  };
};

const patchHttp = (
  filter: Filter,
  patches: readonly CompiledPatch[],
  set: PatchSet,
  context: PatchContext,
  label: string,
  report: PatchReport,
): Filter => {
  const config = configOf(filter);
  if (config === undefined || typeNameOf(config.typeUrl) !== HttpConnectionManagerSchema.typeName) return filter;
  const manager = fromBinary(HttpConnectionManagerSchema, config.value);
  const own = patches.filter((patch) => sameName(networkAnchor(patch), filter, "network"));
  const after = patchManager(manager, own, set, context, label, report);
  if (after === manager) return filter;
  const value = create(AnySchema, {
    typeUrl: config.typeUrl,
    value: toBinary(HttpConnectionManagerSchema, after),
  });
  return { ...filter, configType: { case: "typedConfig", value } };
};

/** The network filters of one chain, and the HTTP filters and inline routes within them. */
export const patchNetworkFilters = (
  set: PatchSet,
  context: PatchContext,
  listener: Listener,
  chain: FilterChain,
  label: string,
  report: PatchReport,
): FilterChain => {
  const ofChain = (applyTo: "NETWORK_FILTER" | "HTTP_FILTER"): readonly CompiledPatch[] =>
    patchesFor(set, applyTo, context).filter(
      (patch) => matchesListener(patch, listener) && matchesChain(patch, listener, chain),
    );
  const patches = ofChain("NETWORK_FILTER");
  const http = ofChain("HTTP_FILTER");
  const edited = editSequence(
    chain.filters,
    patches.filter((patch) => !isMerge(patch)),
    {
      label,
      anchorOf: networkAnchor,
      matches: (patch, filter) => sameName(networkAnchor(patch), filter, "network"),
      isTerminal: isTerminalNetwork,
      endsWell: (filters) => endsWell(filters, "network"),
    },
    report,
  );
  const filters = mapped(edited, (filter) => {
    const after = mergeFilter(filter, patches, networkAnchor, "network", label, report);
    return patchHttp(after, http, set, context, label, report);
  });
  return filters === chain.filters ? chain : { ...chain, filters };
};

export const patchListenerFilters = (
  set: PatchSet,
  context: PatchContext,
  listener: Listener,
  label: string,
  report: PatchReport,
): Listener => {
  const patches = patchesFor(set, "LISTENER_FILTER", context).filter((patch) => matchesListener(patch, listener));
  const edited = editSequence(
    listener.listenerFilters,
    patches.filter((patch) => !isMerge(patch)),
    {
      label,
      anchorOf: listenerAnchor,
      matches: (patch, filter) => sameName(listenerAnchor(patch), filter, "listener"),
    },
    report,
  );
  const listenerFilters = mapped(edited, (filter) =>
    mergeFilter(filter, patches, listenerAnchor, "listener", label, report),
  );
  return listenerFilters === listener.listenerFilters ? listener : { ...listener, listenerFilters };
};
