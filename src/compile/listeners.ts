import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../api/meshconfig.js";
import type { InboundPort } from "../model/snapshot.js";
import { type Address, AddressSchema } from "../proto/envoy/config/core/v3/address_pb.js";
import { TrafficDirection } from "../proto/envoy/config/core/v3/base_pb.js";
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  type ListenerFilter,
  ListenerFilterChainMatchPredicateSchema,
  ListenerFilterSchema,
} from "../proto/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { HttpInspectorSchema } from "../proto/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { OriginalDstSchema } from "../proto/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { OriginalSrcSchema } from "../proto/envoy/extensions/filters/listener/original_src/v3/original_src_pb.js";
import { TlsInspectorSchema } from "../proto/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { blackHoleCluster, inboundClusterName, inboundPassthroughCluster, passthroughCluster } from "./clusters.js";
import { packed } from "./encode.js";
import { httpConnectionManager, offerAlpn, tcpProxy } from "./http.js";
import { hostRouteName, inboundRoutes, passthroughRoutes } from "./routes.js";
import { clientAlpn, meshHttpAlpn, meshTcpAlpn, serverTls } from "./tls.js";

export type IpFamily = "IPv4" | "IPv6";
export type IpFamilies = readonly IpFamily[];

const outboundPort = 15001;
const inboundPort = 15006;
/** As in the redirect rules of TPROXY. */
const tproxyMark = 0x539;

const socketAddress = (address: string, port: number): Address =>
  create(AddressSchema, {
    address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: port } } },
  });

const wildcard = { IPv4: "0.0.0.0", IPv6: "::" } as const;

const anyAddress = (port: number, families: IpFamilies) => ({
  address: socketAddress(wildcard[families[0] ?? "IPv4"], port),
  additionalAddresses: families.slice(1).map((family) => ({ address: socketAddress(wildcard[family], port) })),
});

const listenerFilter = (name: string, typedConfig: ReturnType<typeof packed>): ListenerFilter =>
  create(ListenerFilterSchema, { name, configType: { case: "typedConfig", value: typedConfig } });

const originalDst = (): ListenerFilter =>
  listenerFilter("envoy.filters.listener.original_dst", packed(OriginalDstSchema, create(OriginalDstSchema)));
/** Connections to the application come from the caller's address; the pod's rules know them, and the answers, by the mark. */
const originalSrc = (): ListenerFilter =>
  listenerFilter(
    "envoy.filters.listener.original_src",
    packed(OriginalSrcSchema, create(OriginalSrcSchema, { mark: tproxyMark })),
  );
const tlsInspector = (): ListenerFilter =>
  listenerFilter("envoy.filters.listener.tls_inspector", packed(TlsInspectorSchema, create(TlsInspectorSchema)));
const httpInspector = (declaredPorts: readonly number[] = []): ListenerFilter => {
  const filter = listenerFilter(
    "envoy.filters.listener.http_inspector",
    packed(HttpInspectorSchema, create(HttpInspectorSchema)),
  );
  const rules = declaredPorts.map((port) => ({
    rule: { case: "destinationPortRange" as const, value: { start: port, end: port + 1 } },
  }));
  if (rules.length === 0) return filter;
  return create(ListenerFilterSchema, {
    ...filter,
    filterDisabled: create(
      ListenerFilterChainMatchPredicateSchema,
      rules.length === 1 ? rules[0]! : { rule: { case: "orMatch", value: { rules } } },
    ),
  });
};

const detection = (mesh: MeshConfig) => ({
  listenerFiltersTimeout: {
    seconds: BigInt(Math.floor(mesh.protocolDetectionTimeoutMilliseconds / 1000)),
    nanos: (mesh.protocolDetectionTimeoutMilliseconds % 1000) * 1_000_000,
  },
  continueOnListenerFiltersTimeout: true,
});

const outbound = { bindToPort: false, trafficDirection: TrafficDirection.OUTBOUND } as const;

const chain = (name: string, match: object, filters: Filter[], extra: object = {}): FilterChain =>
  create(FilterChainSchema, { name, filterChainMatch: match, filters, ...extra });

/** HTTP without TLS: a client's own TLS may well offer `http/1.1` too. */
const plainHttp = (...protocols: readonly string[]) => ({
  transportProtocol: "raw_buffer",
  applicationProtocols: [...protocols],
});

/** HTTP told from the client's first bytes: a chain for HTTP/1 and one for HTTP/2, which offer different ALPN. */
const detectedHttpChains = (statPrefix: string, routeName: string): FilterChain[] => [
  chain("http1", plainHttp("http/1.0", "http/1.1"), [
    httpConnectionManager({
      direction: "outbound",
      statPrefix,
      routes: { name: routeName },
      filters: [offerAlpn(clientAlpn.http)],
    }),
  ]),
  chain("http2", plainHttp("h2c"), [
    httpConnectionManager({
      direction: "outbound",
      statPrefix,
      routes: { name: routeName },
      filters: [offerAlpn(clientAlpn.http2)],
    }),
  ]),
];

/** Takes all that is redirected; hands it to the listener of its original destination, else passes it on. */
export const virtualOutbound = (families: IpFamilies, mesh: MeshConfig): Listener =>
  create(ListenerSchema, {
    name: "virtualOutbound",
    ...anyAddress(outboundPort, families),
    trafficDirection: TrafficDirection.OUTBOUND,
    useOriginalDst: true,
    filterChains: [
      chain("virtualOutbound-trap", { destinationPort: outboundPort }, [tcpProxy(blackHoleCluster)]),
      chain("virtualOutbound-catchall-tcp", {}, [
        tcpProxy(mesh.outboundTrafficPolicy === "ALLOW_ANY" ? passthroughCluster : blackHoleCluster),
      ]),
    ],
  });

/** All HTTP services on a port share a listener; what is not HTTP there passes on to where it was going. */
export const httpPortListener = (port: number, families: IpFamilies, mesh: MeshConfig): Listener =>
  create(ListenerSchema, {
    ...outbound,
    ...detection(mesh),
    name: `${wildcard[families[0] ?? "IPv4"]}_${port}`,
    ...anyAddress(port, families),
    listenerFilters: [tlsInspector(), httpInspector()],
    filterChains: [
      chain("http", plainHttp("http/1.0", "http/1.1", "h2c"), [
        httpConnectionManager({
          direction: "outbound",
          statPrefix: `outbound_0.0.0.0_${port}`,
          routes: { name: String(port) },
        }),
      ]),
    ],
    defaultFilterChain: chain("PassthroughFilterChain", {}, [
      tcpProxy(mesh.outboundTrafficPolicy === "ALLOW_ANY" ? passthroughCluster : blackHoleCluster),
    ]),
  });

export const addressListenerName = (address: string, port: number): string => `${address}_${port}`;

/** One address of one service, for TCP. */
export const tcpListener = (address: string, port: number, cluster: string, affinity: boolean): Listener =>
  create(ListenerSchema, {
    ...outbound,
    name: addressListenerName(address, port),
    address: socketAddress(address, port),
    filterChains: [chain("tcp", {}, [tcpProxy(cluster, affinity)])],
  });

/** One address of one service, for a port whose protocol is not declared. */
export const detectingListener = (
  address: string,
  port: number,
  host: string,
  cluster: string,
  affinity: boolean,
  mesh: MeshConfig,
): Listener =>
  create(ListenerSchema, {
    ...outbound,
    ...detection(mesh),
    name: addressListenerName(address, port),
    address: socketAddress(address, port),
    listenerFilters: [tlsInspector(), httpInspector()],
    filterChains: detectedHttpChains(`outbound_${address}_${port}`, hostRouteName(host, port)),
    defaultFilterChain: chain("tcp", {}, [tcpProxy(cluster, affinity)]),
  });

/** The chains of one inbound port, permissive: mutual TLS of the mesh and everything else, side by side. */
const permissiveChains = (inbound: InboundPort | undefined, trustDomain: string): FilterChain[] => {
  const port = inbound?.port;
  const protocol = inbound?.protocol ?? "auto";
  const cluster = port === undefined ? inboundPassthroughCluster : inboundClusterName(port);
  const on = port === undefined ? {} : { destinationPort: port };
  const label = port === undefined ? "passthrough" : `0.0.0.0_${port}`;
  const http = (): Filter =>
    httpConnectionManager({
      direction: "inbound",
      statPrefix: `inbound_${label}`,
      routes: {
        inline:
          port === undefined
            ? passthroughRoutes(inboundPassthroughCluster, cluster)
            : inboundRoutes(inboundClusterName(port), port, cluster),
      },
    });
  const httpTls = { transportSocket: serverTls(trustDomain, ["h2", "http/1.1"]) };
  const tcpTls = { transportSocket: serverTls(trustDomain, meshTcpAlpn) };
  const tls = { ...on, transportProtocol: "tls" };
  const raw = { ...on, transportProtocol: "raw_buffer" };
  const anyMeshAlpn = [...meshHttpAlpn, ...meshTcpAlpn];
  switch (protocol) {
    case "http":
    case "http2":
      return [
        chain(`${label}-mtls-http`, { ...tls, applicationProtocols: anyMeshAlpn }, [http()], httpTls),
        chain(`${label}-http`, raw, [http()]),
      ];
    case "tcp":
      return [
        chain(`${label}-mtls-tcp`, { ...tls, applicationProtocols: anyMeshAlpn }, [tcpProxy(cluster)], tcpTls),
        chain(`${label}-tls`, tls, [tcpProxy(cluster)]),
        chain(`${label}-tcp`, raw, [tcpProxy(cluster)]),
      ];
    case "auto":
      return [
        chain(`${label}-mtls-http`, { ...tls, applicationProtocols: [...meshHttpAlpn] }, [http()], httpTls),
        chain(`${label}-mtls-tcp`, { ...tls, applicationProtocols: [...meshTcpAlpn] }, [tcpProxy(cluster)], tcpTls),
        chain(`${label}-tls`, tls, [tcpProxy(cluster)]),
        chain(`${label}-http`, { ...raw, applicationProtocols: ["http/1.0", "http/1.1", "h2c"] }, [http()]),
        chain(`${label}-tcp`, raw, [tcpProxy(cluster)]),
      ];
  }
};

/** Takes all that comes to the pod; the chain is chosen by the port that the caller meant. */
export const virtualInbound = (
  ports: readonly InboundPort[],
  families: IpFamilies,
  isTransparent: boolean,
  mesh: MeshConfig,
): Listener =>
  create(ListenerSchema, {
    ...detection(mesh),
    name: "virtualInbound",
    ...anyAddress(inboundPort, families),
    trafficDirection: TrafficDirection.INBOUND,
    ...(isTransparent ? { transparent: true } : {}),
    listenerFilters: [
      originalDst(),
      ...(isTransparent ? [originalSrc()] : []),
      tlsInspector(),
      httpInspector(ports.filter(({ protocol }) => protocol !== "auto").map(({ port }) => port)),
    ],
    filterChains: [
      chain("virtualInbound-blackhole", { destinationPort: inboundPort }, [tcpProxy(blackHoleCluster)]),
      ...ports.flatMap((port) => permissiveChains(port, mesh.trustDomain)),
      ...permissiveChains(undefined, mesh.trustDomain),
    ],
  });
