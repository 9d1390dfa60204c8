import { isIPv6 } from "node:net";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import type { MeshService } from "../../model/service.js";
import type { RouteAction_HashPolicySchema } from "../../proto/envoy/config/route/v3/route_components_pb.js";
import type { TcpProxySchema } from "../../proto/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { durationOfText } from "../duration.js";
import type { Init } from "../init.js";

type HashPolicy = Init<typeof RouteAction_HashPolicySchema>;

/** A Service's ClientIP affinity holds unless the rule names another way. */
const hasAffinity = (
  { loadBalancer }: TrafficPolicy,
  service: Pick<MeshService, "clientAffinity"> | undefined,
): boolean =>
  service?.clientAffinity === true &&
  loadBalancer?.consistentHash === undefined &&
  (loadBalancer?.simple ?? "UNSPECIFIED") === "UNSPECIFIED";

const bySourceIp: HashPolicy = { policySpecifier: { case: "connectionProperties", value: { sourceIp: true } } };

/** What of a request chooses the endpoint: every route to a cluster that hashes needs it. */
export const hashPolicies = (
  policy: TrafficPolicy,
  service: Pick<MeshService, "clientAffinity">,
): readonly HashPolicy[] => {
  const hash = policy.loadBalancer?.consistentHash;
  if (hash === undefined) return hasAffinity(policy, service) ? [bySourceIp] : [];
  const { httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName } = hash;
  if (httpHeaderName !== undefined && httpHeaderName !== "")
    return [{ policySpecifier: { case: "header", value: { headerName: httpHeaderName } } }];
  if (httpCookie !== undefined) {
    const ttl = durationOfText(httpCookie.ttl);
    return [
      {
        policySpecifier: {
          case: "cookie",
          value: {
            name: httpCookie.name,
            path: httpCookie.path ?? "",
            ...(ttl === undefined ? {} : { ttl }),
            attributes: (httpCookie.attributes ?? []).map(({ name, value = "" }) => ({ name, value })),
          },
        },
      },
    ];
  }
  if (useSourceIp === true) return [bySourceIp];
  if (httpQueryParameterName !== undefined && httpQueryParameterName !== "")
    return [{ policySpecifier: { case: "queryParameter", value: { name: httpQueryParameterName } } }];
  return [];
};

export type TcpProxyPolicy = Pick<
  Init<typeof TcpProxySchema>,
  "hashPolicy" | "tunnelingConfig" | "idleTimeout" | "maxDownstreamConnectionDuration"
>;

/** What of a policy the TCP proxy has to do, to be spread into its configuration. */
export const tcpProxyPolicy = (
  policy: TrafficPolicy,
  service?: Pick<MeshService, "clientAffinity">,
): TcpProxyPolicy => {
  const { tunnel, connectionPool } = policy;
  const idleTimeout = durationOfText(connectionPool?.tcp?.idleTimeout);
  const maxDownstreamConnectionDuration = durationOfText(connectionPool?.tcp?.maxConnectionDuration);
  const hashes = policy.loadBalancer?.consistentHash?.useSourceIp === true || hasAffinity(policy, service);
  return {
    ...(hashes ? { hashPolicy: [{ policySpecifier: { case: "sourceIp" as const, value: {} } }] } : {}),
    ...(tunnel === undefined
      ? {}
      : {
          tunnelingConfig: {
            hostname: `${isIPv6(tunnel.targetHost) ? `[${tunnel.targetHost}]` : tunnel.targetHost}:${tunnel.targetPort}`,
            usePost: tunnel.protocol === "POST",
          },
        }),
    ...(idleTimeout === undefined ? {} : { idleTimeout }),
    ...(maxDownstreamConnectionDuration === undefined ? {} : { maxDownstreamConnectionDuration }),
  };
};
