import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { Protocol } from "../../model/protocol.js";
import { TrafficDirection } from "../../proto/envoy/config/core/v3/base_pb.js";
import type { Filter, FilterChain } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../proto/envoy/config/listener/v3/listener_pb.js";
import { blackHoleCluster, inboundClusterName, inboundPassthroughCluster } from "../clusters/names.js";
import { httpConnectionManager } from "../http.js";
import { inboundRoutes, passthroughRoutes } from "../routes/inbound.js";
import { meshHttpAlpn, meshTcpAlpn, serverTls } from "../tls.js";
import { anyAddress, boundAddress, type IpFamilies, inboundPort, proxyPorts } from "./addresses.js";
import { chain, detection, httpInspector, originalDst, originalSrc, plainHttp, tlsInspector } from "./chains.js";
import { tcpProxy } from "./tcp-proxy.js";

/** One port that the pod serves, by Services or by its Sidecar. */
export interface ServedPort {
  readonly port: number;
  readonly protocol: Protocol;
}

const permissiveTls = (mesh: MeshConfig, alpn: readonly string[]) => ({
  transportSocket: serverTls(mesh, alpn),
});

/**
 * The chains of one inbound port, permissive: mutual TLS of the mesh and everything else, side by side. A listener that
 * is for this port alone matches no port.
 */
const permissiveChains = (
  served: ServedPort | undefined,
  mesh: MeshConfig,
  isShared = true,
): readonly FilterChain[] => {
  const port = served?.port;
  const cluster = port === undefined ? inboundPassthroughCluster : inboundClusterName(port);
  const on = port === undefined || !isShared ? {} : { destinationPort: port };
  const label = port === undefined ? "passthrough" : `0.0.0.0_${port}`;
  const http = (): Filter =>
    httpConnectionManager({
      direction: "inbound",
      mesh,
      statPrefix: `inbound_${label}`,
      routes: {
        inline:
          port === undefined
            ? passthroughRoutes(inboundPassthroughCluster, cluster)
            : inboundRoutes(cluster, port, cluster),
      },
    });
  const httpTls = permissiveTls(mesh, ["h2", "http/1.1"]);
  const tcpTls = permissiveTls(mesh, meshTcpAlpn);
  const tls = { ...on, transportProtocol: "tls" };
  const raw = { ...on, transportProtocol: "raw_buffer" };
  const anyMeshAlpn = [...meshHttpAlpn, ...meshTcpAlpn];
  switch (served?.protocol ?? "auto") {
    case "http":
    case "http2":
      return [
        chain(`${label}-mtls-http`, { ...tls, applicationProtocols: anyMeshAlpn }, [http()], httpTls),
        chain(`${label}-http`, raw, [http()]),
      ];
    case "tcp":
      return [
        chain(`${label}-mtls-tcp`, { ...tls, applicationProtocols: anyMeshAlpn }, [tcpProxy(cluster, mesh)], tcpTls),
        chain(`${label}-tls`, tls, [tcpProxy(cluster, mesh)]),
        chain(`${label}-tcp`, raw, [tcpProxy(cluster, mesh)]),
      ];
    case "auto":
      return [
        chain(`${label}-mtls-http`, { ...tls, applicationProtocols: [...meshHttpAlpn] }, [http()], httpTls),
        chain(
          `${label}-mtls-tcp`,
          { ...tls, applicationProtocols: [...meshTcpAlpn] },
          [tcpProxy(cluster, mesh)],
          tcpTls,
        ),
        chain(`${label}-tls`, tls, [tcpProxy(cluster, mesh)]),
        chain(`${label}-http`, { ...raw, ...plainHttp("http1", "http2") }, [http()]),
        chain(`${label}-tcp`, raw, [tcpProxy(cluster, mesh)]),
      ];
  }
};

export interface VirtualInboundOptions {
  readonly ports: readonly ServedPort[];
  readonly families: IpFamilies;
  /** TPROXY: the application sees the client's address. */
  readonly isTransparent: boolean;
  readonly mesh: MeshConfig;
}

/** Takes all that comes to the pod; the chain is chosen by the port that the caller meant. */
export const virtualInbound = ({ ports: all, families, isTransparent, mesh }: VirtualInboundOptions): Listener => {
  // A Service that targets the proxy's own port would have it call itself, without end.
  const ports = all.filter(({ port }) => !proxyPorts.has(port));
  return create(ListenerSchema, {
    ...detection(mesh),
    name: "virtualInbound",
    ...anyAddress(inboundPort, families),
    trafficDirection: TrafficDirection.INBOUND,
    listenerFilters: [
      originalDst(),
      ...(isTransparent ? [originalSrc()] : []),
      tlsInspector(),
      httpInspector(ports.filter(({ protocol }) => protocol !== "auto").map(({ port }) => port)),
    ],
    filterChains: [
      chain("virtualInbound-blackhole", { destinationPort: inboundPort }, [tcpProxy(blackHoleCluster, mesh)]),
      ...ports.flatMap((port) => permissiveChains(port, mesh)),
      ...permissiveChains(undefined, mesh),
    ],
  });
};

/** A port of a Sidecar's ingress that the proxy binds itself, without redirection. */
export const boundInbound = (served: ServedPort, bind: string, mesh: MeshConfig): Listener =>
  create(ListenerSchema, {
    ...detection(mesh),
    name: `${bind}_${served.port}`,
    address: boundAddress(bind, served.port),
    trafficDirection: TrafficDirection.INBOUND,
    listenerFilters: [tlsInspector(), ...(served.protocol === "auto" ? [httpInspector()] : [])],
    filterChains: [...permissiveChains(served, mesh, false)],
  });
