import { create, toBinary } from "@bufbuild/protobuf";
import type { HttpProxyListener } from "../model/sidecar-scope.js";
import { TrafficDirection } from "../proto/envoy/config/core/v3/base_pb.js";
import { type Listener, ListenerSchema } from "../proto/envoy/config/listener/v3/listener_pb.js";
import { VirtualHostSchema } from "../proto/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../proto/envoy/config/route/v3/route_pb.js";
import { httpConnectionManager } from "./http.js";
import { boundAddress } from "./listeners/addresses.js";
import { chain } from "./listeners/chains.js";
import type { PortPart } from "./port-part.js";
import { blockedHosts } from "./routes/virtual-hosts.js";
import type { Common } from "./telemetry/logs.js";

export const httpProxyRouteName = "http_proxy";

/** A listener that clients use as their HTTP proxy. */
export const httpProxyListener = ({ port, bind }: HttpProxyListener, common: Common): Listener =>
  create(ListenerSchema, {
    name: `${bind}_${port}`,
    address: boundAddress(bind, port),
    trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [
      chain("http_proxy", {}, [
        httpConnectionManager({
          direction: "outbound",
          ...common,
          statPrefix: `outbound_${httpProxyRouteName}`,
          routes: { name: httpProxyRouteName },
        }),
      ]),
    ],
  });

/**
 * The routes of all ports in one, by the authority that a request to an HTTP proxy names: `host:port`, or `host` alone
 * for port 80. Where an unknown host was going, nobody can tell: it is refused.
 */
export const httpProxyRoutes = (parts: ReadonlyMap<number, readonly PortPart[]>): Uint8Array => {
  const taken = new Set<string>();
  const virtualHosts = [...parts].flatMap(([port, onPort]) =>
    onPort.flatMap(({ host }) => {
      const domains = (host?.message.domains ?? [])
        .flatMap((domain) => [`${domain}:${port}`, ...(port === 80 ? [domain] : [])])
        .filter((domain) => taken.size !== taken.add(domain.toLowerCase()).size);
      return host === undefined || domains.length === 0
        ? []
        : [create(VirtualHostSchema, { ...host.message, domains })];
    }),
  );
  return toBinary(
    RouteConfigurationSchema,
    create(RouteConfigurationSchema, {
      name: httpProxyRouteName,
      virtualHosts: [...virtualHosts, blockedHosts()],
      validateClusters: false,
    }),
  );
};
