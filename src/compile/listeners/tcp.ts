import type { MeshService, ServicePort } from "../../model/service.js";
import type { Destination } from "../../model/virtual-service-rules.js";
import type { FilterChain } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { dynamicDnsSniFilter } from "../clusters/dynamic-dns.js";
import { outboundClusterName } from "../clusters/names.js";
import { tcpProxyPolicy } from "../clusters/route-policy.js";
import type { PortPart } from "../port-part.js";
import type { Recording } from "../recording.js";
import { type L4Route, tcpRoutes, tlsRoutes, weightedTcpProxy } from "../routes/l4.js";
import { destinationsOf, ruleOf, sidecarGateways } from "../routes/of-host.js";
import { connectionLogs } from "../telemetry/logs.js";
import { chain } from "./chains.js";
import { distinctChains } from "./distinct-chains.js";

/** Chains by server name or destination range, and the one for all else. */
export interface TcpChains {
  readonly chains: readonly FilterChain[];
  readonly otherwise: FilterChain;
}

const rangeOf = (cidr: string) => {
  const [address = "", length] = cidr.split("/");
  return {
    addressPrefix: address,
    prefixLen: length === undefined ? (address.includes(":") ? 128 : 32) : Number(length),
  };
};

/** TCP of one service on one port: its VirtualService's routes, and the way to the service itself. */
const l4Of = (lookup: Recording, service: MeshService, port: ServicePort) => {
  const { mesh } = lookup.snapshot;
  const rule = ruleOf(lookup, service.host);
  const { clusterOf, policyOf } = destinationsOf(lookup, port.port);
  const context = {
    client: lookup.client,
    port: port.port,
    gateways: sidecarGateways,
    mesh,
    clusterOf,
  };
  /** Pools, hashing and tunnels are those of where the connection goes; of several, the first. */
  const proxyTo = (clusters: L4Route["clusters"], destination: Destination) => {
    const found = policyOf(destination);
    return weightedTcpProxy(clusters, {
      ...(found === undefined ? {} : tcpProxyPolicy(found.policy, found.service)),
      ...connectionLogs({ mesh, reporting: lookup.client.reporting, side: "client", security: "plaintext" }),
    });
  };
  const routes = rule === undefined ? [] : [...tlsRoutes(rule, context), ...tcpRoutes(rule, context)];
  const isGeneral = ({ match }: L4Route): boolean =>
    (match.prefixRanges ?? []).length === 0 && (match.serverNames ?? []).length === 0;
  const general = routes.find(isGeneral);
  const own = proxyTo([{ name: outboundClusterName(service.host, port.port), weight: 1 }], {
    host: service.host,
    port: port.port,
  });
  return {
    own,
    general: general === undefined ? own : proxyTo(general.clusters, general.destination),
    particular: routes
      .filter((route) => !isGeneral(route))
      .map(({ match, clusters, destination }, index) =>
        chain(
          `${service.host}-${index}`,
          { ...match, ...(match.serverNames === undefined ? {} : { transportProtocol: "tls" }) },
          [proxyTo(clusters, destination)],
        ),
      ),
  };
};

/** For a listener of the service's own address. */
export const ownTcp = (lookup: Recording, service: MeshService, port: ServicePort): TcpChains => {
  const { general, particular } = l4Of(lookup, service, port);
  return { chains: distinctChains(particular), otherwise: chain("tcp", {}, [general]) };
};

/** For the listener that a port's services share, of a service that has no address, or ranges of them. */
export const sharedTcp = (lookup: Recording, service: MeshService, port: ServicePort): Partial<PortPart> => {
  const { own, general, particular } = l4Of(lookup, service, port);
  const ranges = service.addresses.filter((address) => address.includes("/")).map(rangeOf);
  if (ranges.length > 0)
    return { chains: [...particular, chain(`${service.host}-ranges`, { prefixRanges: ranges }, [general])] };
  if (port.isTls) {
    const { families } = lookup.client;
    const looksUp = service.resolution === "dynamic-dns";
    const dns = looksUp ? [dynamicDnsSniFilter(port.port, families, lookup.snapshot.mesh)] : [];
    const match = { serverNames: [service.host], transportProtocol: "tls" };
    return { chains: [...particular, chain(`${service.host}-tls`, match, [...dns, own])] };
  }
  return {
    chains: particular,
    otherwise: { order: `${service.createdAt} ${service.key}`, chain: chain("tcp", {}, [general]) },
  };
};
