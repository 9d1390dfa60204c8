import type { MeshService, ServicePort } from "../../model/service.js";
import type { FilterChain } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { Recording } from "../recording.js";
import { outboundClusterName } from "../clusters/names.js";
import { tcpProxyPolicy } from "../clusters/tcp-proxy.js";
import { destinationsOf, ruleOf } from "../routes/of-host.js";
import { type L4Route, tcpRoutes, tlsRoutes, weightedTcpProxy } from "../routes/tcp.js";
import { chain } from "./chains.js";

/** Chains by server name or destination range, and the one for all else. */
export interface TcpChains {
  readonly chains: readonly FilterChain[];
  readonly otherwise: FilterChain;
}

const rangeOf = (cidr: string) => {
  const [address = "", length] = cidr.split("/");
  return { addressPrefix: address, prefixLen: Number(length ?? (address.includes(":") ? 128 : 32)) };
};
