import type { ApplyTo } from "../../api/networking/envoy-filter.js";
import type { FilterChainMatch } from "../../api/networking/envoy-filter-match.js";
import type { Cluster } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { FilterChain } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../proto/envoy/config/listener/v3/listener_pb.js";
import type { Route, VirtualHost } from "../../proto/envoy/config/route/v3/route_components_pb.js";
import type { RouteConfiguration } from "../../proto/envoy/config/route/v3/route_pb.js";
import type { CompiledPatch, PatchSet } from "./patches.js";

/** For whom and for which traffic a resource is made. */
export interface PatchContext {
  readonly direction: "SIDECAR_INBOUND" | "SIDECAR_OUTBOUND" | "GATEWAY";
  /** ISTIO_VERSION of the node's metadata, "" if it has none. */
  readonly proxyVersion: string;
  /** The texts among the node's metadata. */
  readonly nodeMetadata: Readonly<Record<string, string>>;
}

const isOfContext = ({ match, proxyVersion }: CompiledPatch, context: PatchContext): boolean =>
  [undefined, "ANY", context.direction].includes(match.context) &&
  (proxyVersion === undefined || proxyVersion.matcher(context.proxyVersion).find()) &&
  Object.entries(match.proxy?.metadata ?? {}).every(([key, value]) => context.nodeMetadata[key] === value);

/** The patches of one class of object that are for this proxy and traffic. */
export const patchesFor = (set: PatchSet, applyTo: ApplyTo, context: PatchContext): readonly CompiledPatch[] =>
  (set.patches.get(applyTo) ?? []).filter((patch) => isOfContext(patch, context));

const unsetOr = <T>(wanted: T | undefined, empty: T, actual: T | undefined): boolean =>
  wanted === undefined || wanted === empty || wanted === actual;

const portOf = ({ address }: Listener): number | undefined =>
  address?.address.case === "socketAddress" && address.address.value.portSpecifier.case === "portValue"
    ? address.address.value.portSpecifier.value
    : undefined;

/** Listeners for all ports, whose chains match the port that the client meant. */
const isVirtual = ({ name }: Listener): boolean => name === "virtualInbound" || name === "virtualOutbound";

export const matchesListener = ({ match, applyTo }: CompiledPatch, listener: Listener): boolean => {
  const wanted = match.listener;
  if (wanted === undefined) return true;
  if (!unsetOr(wanted.name, "", listener.name)) return false;
  return (applyTo !== "LISTENER" && isVirtual(listener)) || unsetOr(wanted.portNumber, 0, portOf(listener));
};

const matchesChainFields = (wanted: FilterChainMatch, chain: FilterChain): boolean => {
  const match = chain.filterChainMatch;
  const protocols = (wanted.applicationProtocols ?? "").split(",").map((name) => name.trim());
  return (
    unsetOr(wanted.name, "", chain.name) &&
    (unsetOr(wanted.sni, "", undefined) || match?.serverNames.includes(wanted.sni!) === true) &&
    unsetOr(wanted.transportProtocol, "", match?.transportProtocol) &&
    protocols.every((name) => name === "" || match?.applicationProtocols.includes(name) === true) &&
    unsetOr(wanted.destinationPort, 0, match?.destinationPort)
  );
};

export const matchesChain = ({ match }: CompiledPatch, listener: Listener, chain: FilterChain): boolean => {
  const wanted = match.listener;
  if (wanted === undefined) return true;
  if (isVirtual(listener) && !unsetOr(wanted.portNumber, 0, chain.filterChainMatch?.destinationPort)) return false;
  return wanted.filterChain === undefined || matchesChainFields(wanted.filterChain, chain);
};

interface RouteConfigurationName {
  readonly port: number | undefined;
  readonly portName: string | undefined;
  readonly gateway: string | undefined;
}

const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;

/** `80`, `host:80`, `inbound|80||`, `http.80`, `https.443.port-name.gateway.namespace`. */
const parseRouteName = (name: string, isGateway: boolean): RouteConfigurationName => {
  const unknown = { portName: undefined, gateway: undefined };
  if (isGateway) {
    const [, port, portName, gateway, namespace] = name.split(".");
    return { port: numberOf(port), portName, gateway: gateway === undefined ? undefined : `${namespace}/${gateway}` };
  }
  if (name.startsWith("inbound|")) return { ...unknown, port: numberOf(name.split("|")[1]) };
  return { ...unknown, port: numberOf(name.slice(name.lastIndexOf(":") + 1)) };
};

export const matchesRouteConfiguration = (
  { match }: CompiledPatch,
  routes: RouteConfiguration,
  { direction }: PatchContext,
): boolean => {
  const wanted = match.routeConfiguration;
  if (wanted === undefined) return true;
  const isGateway = direction === "GATEWAY";
  const name = parseRouteName(routes.name, isGateway);
  return (
    unsetOr(wanted.name, "", routes.name) &&
    unsetOr(wanted.portNumber, 0, name.port) &&
    (!isGateway || (unsetOr(wanted.portName, "", name.portName) && unsetOr(wanted.gateway, "", name.gateway)))
  );
};

export const matchesVirtualHost = ({ match }: CompiledPatch, host: VirtualHost): boolean => {
  const wanted = match.routeConfiguration?.vhost;
  return (
    unsetOr(wanted?.name, "", host.name) &&
    (unsetOr(wanted?.domainName, "", undefined) || host.domains.includes(wanted!.domainName!))
  );
};

const actions = { ROUTE: "route", REDIRECT: "redirect", DIRECT_RESPONSE: "directResponse", ANY: undefined } as const;

export const matchesRoute = ({ match }: CompiledPatch, route: Route): boolean => {
  const wanted = match.routeConfiguration?.vhost?.route;
  return (
    unsetOr(wanted?.name, "", route.name) &&
    unsetOr(actions[wanted?.action ?? "ANY"], undefined, route.action.case as "route" | undefined)
  );
};

/** `services` are the hosts whose inbound cluster it is: its own name holds none. */
export const matchesCluster = (
  { match }: CompiledPatch,
  { name }: Pick<Cluster, "name">,
  services: readonly string[],
): boolean => {
  const wanted = match.cluster;
  if (wanted === undefined) return true;
  if (wanted.name !== undefined && wanted.name !== "") return wanted.name === name;
  const [direction, port, subset, host = ""] = name.split("|");
  const hosts = direction === "inbound" ? services : [host];
  return (
    unsetOr(wanted.subset, "", subset) &&
    unsetOr(wanted.portNumber, 0, numberOf(port)) &&
    (unsetOr(wanted.service, "", undefined) || hosts.includes(wanted.service!))
  );
};
