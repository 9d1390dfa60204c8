import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import { TrafficDirection } from "../../proto/envoy/config/core/v3/base_pb.js";
import type { FilterChain } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../proto/envoy/config/listener/v3/listener_pb.js";
import { dynamicDnsHttpFilter } from "../clusters/dynamic-dns.js";
import { blackHoleCluster, passthroughCluster } from "../clusters/names.js";
import { httpConnectionManager, offerAlpn } from "../http.js";
import type { Common } from "../telemetry/logs.js";
import { clientAlpn } from "../tls.js";
import { anyAddress, boundAddress, type IpFamilies, outboundPort, socketAddress, wildcardOf } from "./addresses.js";
import { chain, detection, httpInspector, plainHttp, tlsInspector } from "./chains.js";
import { tcpProxy } from "./tcp-proxy.js";

/** The cluster that takes what is for nobody known: passed on as it is, or to an egress proxy. Undefined refuses it. */
export type UnknownTraffic = string | undefined;

export const unknownTrafficOf = (policy: MeshConfig["outboundTrafficPolicy"]): UnknownTraffic =>
  policy === "ALLOW_ANY" ? passthroughCluster : undefined;

const outbound = { bindToPort: false, trafficDirection: TrafficDirection.OUTBOUND } as const;

const outboundTcp = (cluster: string, common: Common) =>
  tcpProxy(cluster, { ...common, side: "client", security: "plaintext" });

const unknownTcp = (unknown: UnknownTraffic, common: Common) => outboundTcp(unknown ?? blackHoleCluster, common);

/** HTTP told from the client's first bytes: a chain for HTTP/1 and one for HTTP/2, which offer different ALPN. */
const detectedHttpChains = (statPrefix: string, routeName: string, common: Common): readonly FilterChain[] =>
  (["http1", "http2"] as const).map((version) =>
    chain(version, plainHttp(version), [
      httpConnectionManager({
        direction: "outbound",
        ...common,
        statPrefix,
        routes: { name: routeName },
        isHttp1: version === "http1",
        filters: [offerAlpn(version === "http1" ? clientAlpn.http : clientAlpn.http2)],
      }),
    ]),
  );

/** Takes all that is redirected; hands it to the listener of its original destination, else passes it on. */
export const virtualOutbound = (families: IpFamilies, unknown: UnknownTraffic, common: Common): Listener =>
  create(ListenerSchema, {
    name: "virtualOutbound",
    ...anyAddress(outboundPort, families),
    trafficDirection: TrafficDirection.OUTBOUND,
    useOriginalDst: true,
    filterChains: [
      chain("virtualOutbound-trap", { destinationPort: outboundPort }, [outboundTcp(blackHoleCluster, common)]),
      chain("virtualOutbound-catchall-tcp", {}, [unknownTcp(unknown, common)]),
    ],
  });

export const portListenerName = (port: number, families: IpFamilies, bind?: string): string =>
  `${bind ?? wildcardOf(families)}_${port}`;

export interface PortListenerOptions extends Common {
  readonly port: number;
  readonly families: IpFamilies;
  readonly unknown: UnknownTraffic;
  readonly hasHttp: boolean;
  /** Whether requests can be for any host that DNS knows. */
  readonly isDynamic: boolean;
  /** Chains by server name or destination range, of services that have no address of their own. */
  readonly chains: readonly FilterChain[];
  /** Takes what no chain takes; undefined passes it on to where it was going, or refuses it. */
  readonly otherwise: FilterChain | undefined;
  /** Where the proxy listens itself, if the application speaks to it without redirection. */
  readonly bind: string | undefined;
}

/** Everything on a port that is not told apart by address: HTTP by host, TLS by server name, TCP by range. */
export const portListener = (options: PortListenerOptions): Listener => {
  const { port, families, mesh, reporting, bind } = options;
  const http = chain("http", plainHttp("http1", "http2"), [
    httpConnectionManager({
      direction: "outbound",
      ...{ mesh, reporting },
      statPrefix: `outbound_0.0.0.0_${port}`,
      routes: { name: String(port) },
      ...(options.isDynamic ? { filters: [dynamicDnsHttpFilter(families, mesh)] } : {}),
    }),
  ]);
  return create(ListenerSchema, {
    ...outbound,
    ...detection(mesh),
    name: portListenerName(port, families, bind),
    ...(bind === undefined ? anyAddress(port, families) : { bindToPort: true, address: boundAddress(bind, port) }),
    listenerFilters: [tlsInspector(), ...(options.hasHttp ? [httpInspector()] : [])],
    filterChains: [...(options.hasHttp ? [http] : []), ...options.chains],
    defaultFilterChain:
      options.otherwise ?? chain("PassthroughFilterChain", {}, [unknownTcp(options.unknown, options)]),
  });
};

export const addressListenerName = (address: string, port: number): string => `${address}_${port}`;

export interface AddressListenerOptions extends Common {
  readonly address: string;
  readonly port: number;
  /** Name of the route configuration if HTTP is to be detected. */
  readonly detectedRoutes: string | undefined;
  /** Chains by server name or destination range. */
  readonly chains: readonly FilterChain[];
  readonly otherwise: FilterChain;
}

/** One address of one service, for TCP and for ports whose protocol is not declared. */
export const addressListener = (options: AddressListenerOptions): Listener => {
  const { address, port, mesh, reporting, detectedRoutes, chains } = options;
  const byName = chains.some(({ filterChainMatch }) => (filterChainMatch?.serverNames.length ?? 0) > 0);
  const inspects = detectedRoutes !== undefined || byName;
  const detected =
    detectedRoutes === undefined
      ? []
      : detectedHttpChains(`outbound_${address}_${port}`, detectedRoutes, { mesh, reporting });
  return create(ListenerSchema, {
    ...outbound,
    ...(inspects ? detection(mesh) : {}),
    name: addressListenerName(address, port),
    address: socketAddress(address, port),
    listenerFilters: [
      ...(inspects ? [tlsInspector()] : []),
      ...(detectedRoutes === undefined ? [] : [httpInspector()]),
    ],
    ...(inspects || chains.length > 0
      ? { filterChains: [...detected, ...chains], defaultFilterChain: options.otherwise }
      : { filterChains: [options.otherwise] }),
  });
};
