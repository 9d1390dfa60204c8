import { create } from "@bufbuild/protobuf";
import type { MtlsModes } from "../../model/peer-authentication.js";
import { TrafficDirection } from "../../proto/envoy/config/core/v3/base_pb.js";
import { type Listener, ListenerSchema } from "../../proto/envoy/config/listener/v3/listener_pb.js";
import { blackHoleCluster } from "../clusters/names.js";
import { anyAddress, boundAddress, type IpFamilies, inboundPort, proxyPorts } from "./addresses.js";
import { chain, detection, httpInspector, originalDst, originalSrc, tlsInspector } from "./chains.js";
import { type ChainContext, passthroughChains, type ServedPort, servedChains } from "./inbound-chains.js";
import { tcpProxy } from "./tcp-proxy.js";

export interface VirtualInboundOptions extends ChainContext {
  readonly ports: readonly ServedPort[];
  /** Of the workload, for its ports in no Service. */
  readonly mtls: MtlsModes;
  readonly families: IpFamilies;
  /** TPROXY: the application sees the client's address. */
  readonly isTransparent: boolean;
}

/** Nothing is told from its first bytes, so that a server which speaks first need not be waited for. */
const isPlainTcp = ({ protocol, mtls }: ServedPort): boolean => protocol === "tcp" && mtls === "DISABLE";

/** Takes all that comes to the pod; the chain is chosen by the port that the caller meant. */
export const virtualInbound = ({
  ports: all,
  mtls,
  families,
  isTransparent,
  ...context
}: VirtualInboundOptions): Listener => {
  // A Service that targets the proxy's own port would have it call itself, without end.
  const ports = all.filter(({ port }) => !proxyPorts.has(port));
  const served = new Set(ports.map(({ port }) => port));
  return create(ListenerSchema, {
    ...detection(context.mesh),
    name: "virtualInbound",
    ...anyAddress(inboundPort, families),
    trafficDirection: TrafficDirection.INBOUND,
    listenerFilters: [
      originalDst(),
      ...(isTransparent ? [originalSrc()] : []),
      tlsInspector(ports.filter(isPlainTcp).map(({ port }) => port)),
      httpInspector(ports.filter(({ protocol }) => protocol !== "auto").map(({ port }) => port)),
    ],
    filterChains: [
      chain("virtualInbound-blackhole", { destinationPort: inboundPort }, [
        tcpProxy(blackHoleCluster, { ...context, side: "server", security: "plaintext" }),
      ]),
      ...ports.flatMap((port) => servedChains(port, context)),
      ...[...mtls.ports].flatMap(([port, mode]) => (served.has(port) ? [] : passthroughChains(port, mode, context))),
      ...passthroughChains(undefined, mtls.mode, context),
    ],
  });
};

/** A port of a Sidecar's ingress that the proxy binds itself, without redirection. */
export const boundInbound = (served: ServedPort, bind: string, context: ChainContext): Listener =>
  create(ListenerSchema, {
    ...detection(context.mesh),
    name: `${bind}_${served.port}`,
    address: boundAddress(bind, served.port),
    trafficDirection: TrafficDirection.INBOUND,
    listenerFilters: [
      ...(isPlainTcp(served) ? [] : [tlsInspector()]),
      ...(served.protocol === "auto" ? [httpInspector()] : []),
    ],
    filterChains: [...servedChains(served, context, false)],
  });
