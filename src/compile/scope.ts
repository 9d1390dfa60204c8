import type { Snapshot } from "../model/snapshot.js";
import { ClusterSchema } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import { TypedExtensionConfigSchema } from "../proto/envoy/config/core/v3/extension_pb.js";
import { ClusterLoadAssignmentSchema } from "../proto/envoy/config/endpoint/v3/endpoint_pb.js";
import { ListenerSchema } from "../proto/envoy/config/listener/v3/listener_pb.js";
import type { Client, ProxyPlace } from "./client.js";
import { staticClusters } from "./clusters/inbound.js";
import { outboundClusterName } from "./clusters/names.js";
import { encodeResource, fragmentOf, resourceOf } from "./encode.js";
import { type EncodedOutput, encodeOutput, idOf, isEmptyOutput, partsOf, type ResourceId } from "./encoded-output.js";
import { compileHost } from "./host.js";
import { httpProxyListener, httpProxyRouteName, httpProxyRoutes } from "./http-proxy.js";
import { portListenerName, type UnknownTraffic, unknownTrafficOf, virtualOutbound } from "./listeners/outbound.js";
import { createLookup, type Lookup } from "./lookup.js";
import { createPatcher, namesOf, type Patcher } from "./patcher.js";
import { type PortPart, reuseParts } from "./port-part.js";
import { answersAlike } from "./recording.js";
import { type EncodedResource, typeUrls } from "./resources.js";
import { type SharedPortOptions, sharedListener, sharedListenerKey, sharedRoutes } from "./shared-ports.js";
import { createView, type WritableView } from "./view.js";

/** What an update of a scope changed, for the scopes over it. */
export interface ScopeChange {
  readonly ports: ReadonlySet<number>;
  readonly ids: ReadonlySet<ResourceId>;
}

/** What all clients of one key see of the mesh. Over a base it holds only what differs from it. */
export interface Scope {
  readonly client: Client;
  readonly view: WritableView;
  readonly base: Scope | undefined;
  /** Endpoints that are another for each place, over `view`. */
  readonly placeView: (place: ProxyPlace) => WritableView;
  /** Forgets the places that nobody listens to. */
  readonly prune: () => void;
  /** Recompiles these hosts, the base's having been recompiled (`below`). Nothing is told before `tell`. */
  readonly update: (snapshot: Snapshot, hosts: Iterable<string>, below?: ScopeChange) => ScopeChange;
  readonly tell: () => void;
  /** Once all scopes have told. */
  readonly settle: () => void;
  readonly outputOf: (host: string) => EncodedOutput | undefined;
  readonly hosts: () => Iterable<string>;
  readonly claimants: (id: ResourceId) => ReadonlySet<string>;
  readonly partsOn: (port: number) => readonly PortPart[];
  readonly hostsOn: (port: number) => readonly string[];
  readonly filtersOf: Patcher["filtersOf"];
}

const nothing: ReadonlySet<never> = new Set();

const sameList = (left: readonly unknown[] | undefined, right: readonly unknown[] | undefined): boolean =>
  left?.length === right?.length && (left ?? []).every((item, index) => item === right?.[index]);

const addTo = <Key, Member>(map: Map<Key, Set<Member>>, key: Key, member: Member): void => {
  const members = map.get(key);
  if (members === undefined) map.set(key, new Set([member]));
  else members.add(member);
};

const takeFrom = <Key, Member>(map: Map<Key, Set<Member>>, key: Key, member: Member): void => {
  const members = map.get(key);
  members?.delete(member);
  if (members?.size === 0) map.delete(key);
};

/** Every host that a snapshot knows: of services, and of VirtualServices. */
export const hostsOf = (snapshot: Snapshot): ReadonlySet<string> =>
  new Set([...snapshot.servicesOfHost.keys(), ...snapshot.virtualServices.byHost.keys()]);

const unknownOf = ({ sidecar, snapshot }: Lookup): UnknownTraffic => {
  const { mode, egressProxy } = sidecar?.outboundTrafficPolicy ?? {};
  const unknown = unknownTrafficOf(mode ?? snapshot.mesh.outboundTrafficPolicy);
  if (unknown === undefined || egressProxy === undefined) return unknown;
  return outboundClusterName(egressProxy.host, egressProxy.port, egressProxy.subset);
};

/** Told of a host, or a port that hosts share, that could not be compiled. */
export type CompileFailed = (what: string, error: Error) => void;

export const createScope = (first: Snapshot, client: Client, base: Scope | undefined, failed: CompileFailed): Scope => {
  const { mesh } = first;
  const common = { mesh, reporting: client.reporting };
  const view = createView();
  const places = new Map<string, { readonly place: ProxyPlace; readonly view: WritableView }>();
  const patcher = createPatcher(client.filters, "SIDECAR_OUTBOUND");
  const outputs = new Map<string, EncodedOutput>();
  const ownOn = new Map<number, Set<string>>();
  const claims = new Map<ResourceId, Set<string>>();
  /** Of a port, until something on it changes. */
  const known = new Map<number, { readonly hosts: readonly string[]; readonly parts: readonly PortPart[] }>();
  const sharedListeners = new Map<
    number,
    { readonly key: readonly unknown[]; readonly made: EncodedResource | undefined }
  >();
  let lookup = createLookup(first, client);
  const unknown = unknownOf(lookup);

  const outputOf: Scope["outputOf"] = (host) => outputs.get(host) ?? base?.outputOf(host);

  const on = (port: number) => {
    const before = known.get(port);
    if (before !== undefined) return before;
    const below = (base?.hostsOn(port) ?? []).filter((host) => !outputs.has(host));
    const hosts = [...below, ...(ownOn.get(port) ?? [])].sort();
    const parts = hosts.map((host) => outputOf(host)!.ports.get(port)!);
    const now = { hosts, parts };
    known.set(port, now);
    return now;
  };

  const put = (id: ResourceId, resource: EncodedResource | undefined): void => {
    const { type, name } = partsOf(id);
    const below = base?.view.get(type, name);
    if (resource === below) view.remove(type, name);
    else if (resource === undefined) view.hide(type, name);
    else view.set(type, resource);
  };

  /** Whether the scope has a say in it, so that another one below may be another here. */
  const isOwn = (id: ResourceId): boolean => {
    const { type, name } = partsOf(id);
    const isReplaced = (host: string): boolean => outputs.has(host);
    return claims.has(id) || view.now(type, name) !== undefined || [...(base?.claimants(id) ?? [])].some(isReplaced);
  };

  /** Two hosts can have the same listener (headless services that share pods): the first by name has it. */
  const settle = (id: ResourceId): void => {
    const below = [...(base?.claimants(id) ?? nothing)].filter((host) => !outputs.has(host));
    const [host] = [...(claims.get(id) ?? nothing), ...below].sort();
    put(id, host === undefined ? undefined : outputOf(host)?.resources.get(id));
  };

  const makeListener = (options: SharedPortOptions): EncodedResource | undefined => {
    const written = sharedListener(options);
    const listener = written === undefined ? undefined : patcher.listener(written);
    return listener && encodeResource(typeUrls.listener, listener.name, ListenerSchema, listener);
  };

  const writePort = (port: number): void => {
    const { parts } = on(port);
    const routesId = idOf(typeUrls.route, String(port));
    const egress = lookup.sidecar?.listeners.find((listener) => listener.port === port);
    const listenerId = idOf(typeUrls.listener, portListenerName(port, client.families, egress?.bind));
    if (base !== undefined && sameList(parts, base.partsOn(port))) {
      for (const id of [routesId, listenerId]) {
        const { type, name } = partsOf(id);
        view.remove(type, name);
      }
      sharedListeners.delete(port);
      return;
    }
    const options: SharedPortOptions = {
      ...{ ...common, port, parts, unknown, families: client.families },
      bind: egress?.bind,
    };
    const routes = sharedRoutes(options);
    put(routesId, routes && resourceOf(typeUrls.route, String(port), patcher.routeFragments(routes)));
    const key = sharedListenerKey(options);
    const before = sharedListeners.get(port);
    const listener = before !== undefined && sameList(before.key, key) ? before : { key, made: makeListener(options) };
    sharedListeners.set(port, listener);
    // Even if it is the same: the one below may have changed.
    put(listenerId, listener.made);
  };

  /** Only a Sidecar has an HTTP proxy, and then there is no base. */
  const writeProxyRoutes = (): void => {
    const parts = new Map([...ownOn.keys()].sort((a, b) => a - b).map((port) => [port, on(port).parts]));
    view.set(
      typeUrls.route,
      resourceOf(typeUrls.route, httpProxyRouteName, patcher.routeFragments([fragmentOf(httpProxyRoutes(parts))])),
    );
  };

  const writePlaced = (
    target: { readonly place: ProxyPlace; readonly view: WritableView },
    before: EncodedOutput | undefined,
    after: EncodedOutput | undefined,
  ): void => {
    for (const name of before?.placed.keys() ?? [])
      if (after?.placed.has(name) !== true) target.view.remove(typeUrls.endpoint, name);
    for (const [name, assignment] of after?.placed ?? [])
      target.view.set(
        typeUrls.endpoint,
        encodeResource(typeUrls.endpoint, name, ClusterLoadAssignmentSchema, assignment(target.place)),
      );
  };

  const replace = (host: string, after: EncodedOutput | undefined): { ids: Set<ResourceId>; ports: Set<number> } => {
    const before = outputs.get(host);
    if (after === undefined) outputs.delete(host);
    else outputs.set(host, after);
    for (const id of before?.resources.keys() ?? []) takeFrom(claims, id, host);
    for (const id of after?.resources.keys() ?? []) addTo(claims, id, host);
    for (const port of before?.ports.keys() ?? []) takeFrom(ownOn, port, host);
    for (const port of after?.ports.keys() ?? []) addTo(ownOn, port, host);
    for (const target of places.values()) writePlaced(target, before, after);
    const all = [before, after, base?.outputOf(host)];
    const ports = new Set(all.flatMap((output) => [...(output?.ports.keys() ?? [])]));
    const isUnchanged = (port: number): boolean => {
      const part = after?.ports.get(port);
      return part !== undefined && part === before?.ports.get(port);
    };
    return {
      ids: new Set(all.flatMap((output) => [...(output?.resources.keys() ?? [])])),
      ports: new Set([...ports].filter((port) => !isUnchanged(port))),
    };
  };

  const compile = (host: string): EncodedOutput | undefined => {
    const below = base?.outputOf(host);
    if (below !== undefined && answersAlike(below.questions, lookup)) return undefined;
    const output = encodeOutput(compileHost(lookup, host), patcher);
    if (isEmptyOutput(output) && below === undefined) return undefined;
    return { ...output, ports: reuseParts(outputs.get(host)?.ports, output.ports) };
  };

  /** What nobody foresaw costs this host, or port, its last change, and no other anything. */
  const succeeds = (what: string, work: () => unknown): boolean => {
    try {
      work();
      return true;
    } catch (error) {
      failed(what, error as Error);
      return false;
    }
  };

  const update: Scope["update"] = (snapshot, hosts, below) => {
    lookup = createLookup(snapshot, client);
    const ids = new Set<ResourceId>();
    const ports = new Set<number>();
    for (const host of hosts) {
      let after: EncodedOutput | undefined;
      if (!succeeds(host, () => (after = compile(host)))) continue;
      if (after === undefined && !outputs.has(host)) continue;
      const touched = replace(host, after);
      for (const id of touched.ids) ids.add(id);
      for (const port of touched.ports) ports.add(port);
    }
    for (const port of below?.ports ?? nothing) {
      known.delete(port);
      if (view.get(typeUrls.route, String(port)) !== undefined || sharedListeners.has(port)) ports.add(port);
    }
    for (const id of below?.ids ?? nothing) if (isOwn(id)) ids.add(id);
    for (const id of ids) settle(id);
    for (const port of ports) known.delete(port);
    for (const port of ports) succeeds(`port ${port}`, () => writePort(port));
    const isProxyWritten = view.get(typeUrls.route, httpProxyRouteName) !== undefined;
    if ((ports.size > 0 || !isProxyWritten) && (lookup.sidecar?.httpProxies.length ?? 0) > 0) writeProxyRoutes();
    return { ids, ports };
  };

  if (base === undefined) {
    for (const extension of patcher.extensions())
      view.set(
        typeUrls.extension,
        encodeResource(typeUrls.extension, extension.name, TypedExtensionConfigSchema, extension),
      );
    const clusters = staticClusters(mesh);
    const listeners = [
      ...(client.isRedirected ? [virtualOutbound(client.families, unknown, common)] : []),
      ...(lookup.sidecar?.httpProxies ?? []).map((listener) => httpProxyListener(listener, common)),
    ];
    for (const written of [...clusters, ...patcher.addedClusters(namesOf(clusters))]) {
      const cluster = patcher.cluster(written);
      if (cluster !== undefined)
        view.set(typeUrls.cluster, encodeResource(typeUrls.cluster, cluster.name, ClusterSchema, cluster));
    }
    for (const written of [...listeners, ...patcher.addedListeners(namesOf(listeners))]) {
      const listener = patcher.listener(written);
      if (listener !== undefined)
        view.set(typeUrls.listener, encodeResource(typeUrls.listener, listener.name, ListenerSchema, listener));
    }
  }

  return {
    client,
    view,
    base,
    update,
    outputOf,
    filtersOf: patcher.filtersOf,
    hosts: () => outputs.keys(),
    claimants: (id) => claims.get(id) ?? nothing,
    partsOn: (port) => on(port).parts,
    hostsOn: (port) => on(port).hosts,
    placeView: (place) => {
      const before = places.get(place.key);
      if (before !== undefined) return before.view;
      const target = { place, view: createView() };
      places.set(place.key, target);
      for (const output of outputs.values()) writePlaced(target, undefined, output);
      target.view.commit();
      return target.view;
    },
    prune: () => {
      for (const [key, target] of places) if (target.view.listeners() === 0) places.delete(key);
    },
    tell: () => {
      view.tell();
      for (const target of places.values()) target.view.tell();
    },
    settle: () => {
      view.settle();
      for (const target of places.values()) target.view.settle();
    },
  };
};
