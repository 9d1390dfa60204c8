import { endpointsOfSubset, type MergedDestinationRule, policyFor } from "../model/destination-rule.js";
import { endpointsOf } from "../model/endpoints.js";
import type { Endpoint, MeshService, ServicePort } from "../model/service.js";
import type { Cluster } from "../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { ClusterLoadAssignment } from "../proto/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Listener } from "../proto/envoy/config/listener/v3/listener_pb.js";
import type { RouteConfiguration } from "../proto/envoy/config/route/v3/route_pb.js";
import type { ProxyPlace } from "./client.js";
import { outboundCluster } from "./clusters/outbound.js";
import { dependsOnProxy, loadAssignment } from "./endpoints/assignment.js";
import { isServed } from "./listeners/addresses.js";
import { addressListener } from "./listeners/outbound.js";
import { ownTcp, sharedTcp } from "./listeners/tcp.js";
import type { Lookup } from "./lookup.js";
import type { PortPart } from "./port-part.js";
import { type Recording, record } from "./recording.js";
import { routesOf } from "./routes/of-host.js";
import { domainsOf, encodeHost, hostRouteName, hostRoutes, virtualHost } from "./routes/virtual-hosts.js";

export interface HostOutput {
  readonly questions: Recording["questions"];
  readonly clusters: readonly Cluster[];
  readonly assignments: readonly ClusterLoadAssignment[];
  /** Assignments that are another for each place, by cluster. */
  readonly placed: ReadonlyMap<string, (place: ProxyPlace) => ClusterLoadAssignment>;
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
  readonly ports: ReadonlyMap<number, PortPart>;
}

export const isHttp = ({ protocol }: ServicePort): boolean => protocol === "http" || protocol === "http2";

/** What is written while a host is compiled. */
interface Writing {
  readonly clusters: Cluster[];
  readonly assignments: ClusterLoadAssignment[];
  readonly placed: Map<string, (place: ProxyPlace) => ClusterLoadAssignment>;
  readonly listeners: Listener[];
  readonly routes: RouteConfiguration[];
  readonly ports: Map<number, PortPart>;
}

const writeClusters = (
  writing: Writing,
  lookup: Lookup,
  service: MeshService,
  port: ServicePort,
  rule: MergedDestinationRule | undefined,
  endpoints: readonly Endpoint[],
): void => {
  const { mesh } = lookup.snapshot;
  for (const { name: subset, labels } of [{ name: "", labels: undefined }, ...(rule?.subsets ?? [])]) {
    const members = labels === undefined ? endpoints : endpointsOfSubset(endpoints, labels);
    const policy = policyFor(rule, port.port, subset, mesh);
    const cluster = outboundCluster({
      ...{ service, port, subset, labels, policy, mesh },
      endpoints: members,
      source: rule?.sources[0],
      families: lookup.client.families,
      trafficDistribution: service.trafficDistribution,
    });
    writing.clusters.push(cluster);
    if (cluster.edsClusterConfig === undefined) continue;
    const assignment = (place: ProxyPlace | undefined): ClusterLoadAssignment =>
      loadAssignment({
        ...{ port, policy, mesh },
        clusterName: cluster.name,
        endpoints: members,
        proxy: place,
        trafficDistribution: service.trafficDistribution,
      });
    if (dependsOnProxy(policy, mesh, service.trafficDistribution)) writing.placed.set(cluster.name, assignment);
    else writing.assignments.push(assignment(undefined));
  }
};

/** Addresses at which a port is called, and the number there; a headless service's are its pods'. */
const targetsOf = (
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
): readonly { readonly address: string; readonly number: number }[] =>
  service.isHeadless
    ? endpoints.flatMap(({ address, ports }) =>
        ports.has(port.name) ? [{ address, number: ports.get(port.name)! }] : [],
      )
    : service.addresses.flatMap((address) => (address.includes("/") ? [] : [{ address, number: port.port }]));

const writePart = (writing: Writing, port: number, part: Partial<PortPart>): void => {
  const before = writing.ports.get(port);
  writing.ports.set(port, {
    host: part.host ?? before?.host,
    isDynamic: part.isDynamic ?? before?.isDynamic ?? false,
    chains: [...(before?.chains ?? []), ...(part.chains ?? [])],
    otherwise: before?.otherwise ?? part.otherwise,
  });
};

const writeHttp = (writing: Writing, lookup: Recording, service: MeshService, port: ServicePort): void => {
  const isOwn = service.origin === "Service" && lookup.isOwnNamespace(service.namespace);
  const message = virtualHost(
    `${service.host}:${port.port}`,
    domainsOf(service, isOwn),
    routesOf(lookup, service.host, service, port.port),
    service.persistentSession,
  );
  writePart(writing, port.port, {
    host: encodeHost(message, service.origin === "Service"),
    isDynamic: service.resolution === "dynamic-dns",
  });
};

const writeTcp = (
  writing: Writing,
  lookup: Recording,
  service: MeshService,
  port: ServicePort,
  endpoints: readonly Endpoint[],
): void => {
  const { snapshot, client } = lookup;
  const isDetected = port.protocol === "auto";
  const targets = targetsOf(service, port, endpoints);
  if (targets.length === 0 && !service.isHeadless) {
    if (isDetected) writeHttp(writing, lookup, service, port);
    writePart(writing, port.port, sharedTcp(lookup, service, port));
    return;
  }
  const tcp = ownTcp(lookup, service, port);
  if (isDetected)
    writing.routes.push(hostRoutes(service, port.port, routesOf(lookup, service.host, service, port.port)));
  for (const { address, number } of targets)
    if (isServed(address, client.families))
      writing.listeners.push(
        addressListener({
          ...{ address, port: number, mesh: snapshot.mesh, reporting: client.reporting, ...tcp },
          detectedRoutes: isDetected ? hostRouteName(service.host, port.port) : undefined,
        }),
      );
};

/** A VirtualService for a host that is no service's: on port 80, as in Istio. */
const portOfUnknownHosts = 80;

const writeUnknown = (writing: Writing, lookup: Recording, host: string): void => {
  // A rule on a wildcard has a virtual host of its own, which this host would only repeat.
  if (lookup.ruleOf(host)?.hosts.includes(host) !== true) return;
  const routes = routesOf(lookup, host, undefined, portOfUnknownHosts);
  if (routes.length === 0) return;
  const message = virtualHost(
    `${host}:${portOfUnknownHosts}`,
    host.startsWith("*") ? [host] : [host, `${host}.`],
    routes,
  );
  writePart(writing, portOfUnknownHosts, { host: encodeHost(message, false) });
};

/** An ExternalName that stands for a service of the mesh: its names lead there. */
const writeAlias = (writing: Writing, lookup: Recording, service: MeshService): void => {
  const target = lookup.serviceOf(service.externalName ?? "");
  for (const port of target?.ports ?? []) if (isHttp(port)) writeHttp(writing, lookup, service, port);
};

/** Everything that one host is to a client: clusters, endpoints, listeners of its own, its part of shared ports. */
export const compileHost = (lookup: Lookup, host: string): HostOutput => {
  const recording = record(lookup);
  const writing: Writing = {
    clusters: [],
    assignments: [],
    placed: new Map(),
    listeners: [],
    routes: [],
    ports: new Map(),
  };
  const service = recording.serviceOf(host);
  if (service === undefined) writeUnknown(writing, recording, host);
  else if (service.externalName !== undefined) writeAlias(writing, recording, service);
  else {
    const rule = recording.policyOf(service);
    const endpoints = endpointsOf(lookup.snapshot, service);
    for (const port of service.ports) {
      writeClusters(writing, lookup, service, port, rule, endpoints);
      if (isHttp(port)) writeHttp(writing, recording, service, port);
      else writeTcp(writing, recording, service, port, endpoints);
    }
  }
  return { ...writing, questions: recording.questions };
};
