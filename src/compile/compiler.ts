import type { ObjectEvent, Pod } from "../api/kubernetes.js";
import { defaultMeshConfig, type MeshConfig } from "../api/meshconfig.js";
import { applyEvents, emptySnapshot, inboundPortsOf, keyOf, type Snapshot } from "../model/snapshot.js";
import { ClusterSchema } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../proto/envoy/config/route/v3/route_pb.js";
import { inboundCluster, inboundClusterName, inboundPassthroughCluster, staticClusters } from "./clusters.js";
import { encodeResource } from "./encode.js";
import { httpPortListener, type IpFamilies, type IpFamily, virtualInbound, virtualOutbound } from "./listeners.js";
import { routedOf, serviceResources, type TypedResource } from "./outbound.js";
import { type EncodedResource, type ResourceView, type Touched, typeUrls } from "./resources.js";
import { portRoutes, type RoutedService } from "./routes.js";
import { createView, type WritableView } from "./view.js";

export interface AttachedWorkload {
  readonly layers: readonly ResourceView[];
  readonly onChange: (listener: (layer: ResourceView, touched: Touched) => void) => () => void;
  readonly release: () => void;
}

export interface Compiler {
  readonly apply: (events: readonly ObjectEvent[]) => void;
  readonly snapshot: () => Snapshot;
  /** The layers of this pod; undefined while the model does not know it with an address and this uid. */
  readonly attach: (namespace: string, podName: string, podUid: string) => AttachedWorkload | undefined;
  /** Called after each batch. */
  readonly onApplied: (listener: () => void) => () => void;
}

/** What all proxies of these IP families see of the mesh, and by client namespace how they name it. */
interface Outbound {
  readonly families: IpFamilies;
  readonly view: WritableView;
  readonly routesOf: Map<string, WritableView>;
  readonly owned: Map<string, readonly TypedResource[]>;
  /** By type and name, what each service key would have there. */
  readonly claims: Map<string, Map<string, EncodedResource>>;
}

interface Inbound {
  readonly view: WritableView;
  key: string;
}

const familiesOf = (pod: Pod): readonly IpFamily[] => {
  const addresses = pod.status?.podIPs?.map(({ ip }) => ip) ?? [pod.status?.podIP];
  const families = addresses.map((ip): IpFamily => (ip?.includes(":") ? "IPv6" : "IPv4"));
  return [...new Set(families)];
};

const isTransparent = (pod: Pod): boolean =>
  pod.metadata?.annotations?.["sidecar.istio.io/interceptionMode"] === "TPROXY";

/** Holds the snapshot and the layers made from it; a batch of events makes anew only what it touches. */
export const createCompiler = (mesh: MeshConfig = defaultMeshConfig): Compiler => {
  let snapshot = emptySnapshot(mesh);
  const outbounds = new Map<string, Outbound>();
  const inbounds = new Map<string, Inbound>();
  const routed = new Map<string, readonly RoutedService[]>();
  const appliedListeners = new Set<() => void>();

  const routedOn = (port: number): readonly RoutedService[] =>
    [...routed.values()]
      .flat()
      .filter((candidate) => candidate.port.port === port)
      .sort((a, b) => (a.service.host < b.service.host ? -1 : 1));

  const writePort = (view: WritableView, port: number, namespace: string): void => {
    const services = routedOn(port);
    if (services.length === 0) {
      view.remove(typeUrls.route, String(port));
      return;
    }
    const routes = portRoutes(port, services, namespace, mesh);
    view.set(typeUrls.route, encodeResource(typeUrls.route, routes.name, RouteConfigurationSchema, routes));
  };

  const writeListener = (outbound: Outbound, port: number): void => {
    const listener = httpPortListener(port, outbound.families, mesh);
    if (routedOn(port).length === 0) outbound.view.remove(typeUrls.listener, listener.name);
    else
      outbound.view.set(typeUrls.listener, encodeResource(typeUrls.listener, listener.name, ListenerSchema, listener));
  };

  /** Two headless services can share pods and ports, and so listeners: the first by key has them, the next takes over. */
  const settle = (outbound: Outbound, { type, resource }: TypedResource): void => {
    const claims = outbound.claims.get(`${type} ${resource.name}`);
    const first = [...(claims?.keys() ?? [])].sort()[0];
    if (claims === undefined || first === undefined) outbound.view.remove(type, resource.name);
    else outbound.view.set(type, claims.get(first)!);
  };

  const writeService = (outbound: Outbound, key: string): void => {
    const before = outbound.owned.get(key) ?? [];
    const next = serviceResources(snapshot, key, outbound.families);
    for (const { type, resource } of before) outbound.claims.get(`${type} ${resource.name}`)?.delete(key);
    for (const { type, resource } of next) {
      const name = `${type} ${resource.name}`;
      const claims = outbound.claims.get(name);
      if (claims === undefined) outbound.claims.set(name, new Map([[key, resource]]));
      else claims.set(key, resource);
    }
    for (const item of [...before, ...next]) {
      settle(outbound, item);
      const name = `${item.type} ${item.resource.name}`;
      if (outbound.claims.get(name)?.size === 0) outbound.claims.delete(name);
    }
    if (next.length === 0) outbound.owned.delete(key);
    else outbound.owned.set(key, next);
  };

  const outboundOf = (families: IpFamilies): Outbound => {
    const key = families.join();
    const known = outbounds.get(key);
    if (known !== undefined) return known;
    const outbound: Outbound = {
      families,
      view: createView(),
      routesOf: new Map(),
      owned: new Map(),
      claims: new Map(),
    };
    outbounds.set(key, outbound);
    for (const cluster of staticClusters(mesh))
      outbound.view.set(typeUrls.cluster, encodeResource(typeUrls.cluster, cluster.name, ClusterSchema, cluster));
    const catchAll = virtualOutbound(families, mesh);
    outbound.view.set(typeUrls.listener, encodeResource(typeUrls.listener, catchAll.name, ListenerSchema, catchAll));
    for (const service of snapshot.services.keys()) writeService(outbound, service);
    for (const port of httpPorts()) writeListener(outbound, port);
    outbound.view.commit();
    return outbound;
  };

  const httpPorts = (): ReadonlySet<number> => new Set([...routed.values()].flat().map(({ port }) => port.port));

  const routesOf = (outbound: Outbound, namespace: string): WritableView => {
    const known = outbound.routesOf.get(namespace);
    if (known !== undefined) return known;
    const view = createView();
    outbound.routesOf.set(namespace, view);
    for (const port of httpPorts()) writePort(view, port, namespace);
    view.commit();
    return view;
  };

  const writeInbound = (inbound: Inbound, pod: Pod): void => {
    const ports = inboundPortsOf(snapshot, pod);
    const families = familiesOf(pod);
    const key = JSON.stringify([ports, families, isTransparent(pod)]);
    if (key === inbound.key) return;
    inbound.key = key;
    const clusters = [
      inboundCluster(inboundPassthroughCluster, isTransparent(pod), mesh),
      ...ports.map(({ port }) => inboundCluster(inboundClusterName(port), isTransparent(pod), mesh)),
    ];
    const wanted = new Set(clusters.map(({ name }) => name));
    for (const name of [...inbound.view.names(typeUrls.cluster)])
      if (!wanted.has(name)) inbound.view.remove(typeUrls.cluster, name);
    for (const cluster of clusters)
      inbound.view.set(typeUrls.cluster, encodeResource(typeUrls.cluster, cluster.name, ClusterSchema, cluster));
    const listener = virtualInbound(ports, families, isTransparent(pod), mesh);
    inbound.view.set(typeUrls.listener, encodeResource(typeUrls.listener, listener.name, ListenerSchema, listener));
  };

  const apply = (events: readonly ObjectEvent[]): void => {
    const result = applyEvents(snapshot, events);
    snapshot = result.snapshot;
    const { diff } = result;
    const touchedPorts = new Set<number>();
    const aliases = [...snapshot.services].flatMap(([key, { externalName }]) =>
      externalName === undefined ? [] : [key],
    );
    for (const key of diff.services.size === 0 ? [] : new Set([...diff.services, ...aliases])) {
      const before = routed.get(key) ?? [];
      const after = routedOf(snapshot, key);
      if (after.length === 0) routed.delete(key);
      else routed.set(key, after);
      for (const { port } of [...before, ...after]) touchedPorts.add(port.port);
    }
    for (const outbound of outbounds.values()) {
      for (const key of new Set([...diff.services, ...diff.endpoints])) writeService(outbound, key);
      for (const port of touchedPorts) {
        writeListener(outbound, port);
        for (const [namespace, view] of outbound.routesOf) writePort(view, port, namespace);
      }
      outbound.view.commit();
      for (const view of outbound.routesOf.values()) view.commit();
    }
    const changedNamespaces = new Set([...diff.services].map((key) => key.split("/")[0]));
    for (const [key, inbound] of inbounds) {
      if (!diff.pods.has(key) && !changedNamespaces.has(key.split("/")[0])) continue;
      const pod = snapshot.pods.get(key);
      if (pod === undefined) continue;
      writeInbound(inbound, pod);
      inbound.view.commit();
    }
    for (const listener of appliedListeners) listener();
  };

  const inboundOf = (key: string, pod: Pod): Inbound => {
    const known = inbounds.get(key);
    if (known !== undefined) return known;
    const inbound: Inbound = { view: createView(), key: "" };
    inbounds.set(key, inbound);
    writeInbound(inbound, pod);
    inbound.view.commit();
    return inbound;
  };

  return {
    apply,
    snapshot: () => snapshot,
    onApplied: (listener) => {
      appliedListeners.add(listener);
      return () => appliedListeners.delete(listener);
    },
    attach: (namespace, podName, podUid) => {
      const key = keyOf(namespace, podName);
      const pod = snapshot.pods.get(key);
      if (pod === undefined || pod.metadata?.uid !== podUid || pod.status?.podIP === undefined) return undefined;
      const outbound = outboundOf(familiesOf(pod));
      const views = [inboundOf(key, pod).view, routesOf(outbound, namespace), outbound.view];
      return {
        layers: views,
        onChange: (listener) => {
          const stops = views.map((view) => view.onChange((touched) => listener(view, touched)));
          return () => {
            for (const stop of stops) stop();
          };
        },
        release: () => {
          if (inbounds.get(key)?.view.listeners() === 0) inbounds.delete(key);
        },
      };
    },
  };
};
