import type { MeshConfig } from "../../api/meshconfig.js";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import type { MeshTrafficSettings } from "../../api/networking/mesh-traffic.js";
import type { CircuitBreakers_ThresholdsSchema } from "../../proto/envoy/config/cluster/v3/circuit_breaker_pb.js";
import type { ClusterSchema } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import { durationOf, durationOfText } from "../duration.js";
import type { Init } from "../init.js";

/** Istio's thresholds: no limit but the type's, where Envoy's own would be 1024, for retries 3. */
const unlimited = 4_294_967_295;
const orUnlimited = (limit: number | undefined): number => (limit === undefined || limit <= 0 ? unlimited : limit);

type Policy = Pick<TrafficPolicy, "connectionPool" | "retryBudget">;
type Mesh = MeshConfig & MeshTrafficSettings;

const thresholds = ({ connectionPool, retryBudget }: Policy): Init<typeof CircuitBreakers_ThresholdsSchema> => {
  const { tcp, http } = connectionPool ?? {};
  const budgetInterval = durationOfText(retryBudget?.budgetInterval);
  return {
    maxConnections: orUnlimited(tcp?.maxConnections),
    maxPendingRequests: orUnlimited(http?.http1MaxPendingRequests),
    maxRequests: orUnlimited(http?.http2MaxRequests),
    maxRetries: orUnlimited(http?.maxRetries),
    trackRemaining: true,
    ...(retryBudget === undefined
      ? {}
      : {
          retryBudget: {
            budgetPercent: { value: retryBudget.percent ?? 20 },
            minRetryConcurrency: retryBudget.minRetryConcurrency || 3,
            ...(budgetInterval === undefined ? {} : { budgetInterval }),
          },
        }),
  };
};

/** Whole seconds, of which the kernel knows no less than one. */
const keepaliveSeconds = (text: string | undefined): number | undefined => {
  const duration = durationOfText(text);
  return duration === undefined ? undefined : Math.max(1, Number(duration.seconds) + (duration.nanos > 0 ? 1 : 0));
};

/** Field by field: the policy's, else the mesh's. */
const keepalive = (policy: Policy, mesh: Mesh) => {
  const own = policy.connectionPool?.tcp?.tcpKeepalive;
  if (own === undefined && mesh.tcpKeepalive === undefined) return {};
  const probes = own?.probes || mesh.tcpKeepalive?.probes || undefined;
  const time = keepaliveSeconds(own?.time ?? mesh.tcpKeepalive?.time);
  const interval = keepaliveSeconds(own?.interval ?? mesh.tcpKeepalive?.interval);
  return {
    upstreamConnectionOptions: {
      tcpKeepalive: {
        ...(probes === undefined ? {} : { keepaliveProbes: probes }),
        ...(time === undefined ? {} : { keepaliveTime: time }),
        ...(interval === undefined ? {} : { keepaliveInterval: interval }),
      },
    },
  };
};

/** What every cluster has: its name and the limits of its connections. */
export const baseCluster = (name: string, mesh: Mesh, policy: Policy = {}): Init<typeof ClusterSchema> => ({
  name,
  connectTimeout:
    durationOfText(policy.connectionPool?.tcp?.connectTimeout) ?? durationOf(mesh.connectTimeoutMilliseconds),
  circuitBreakers: { thresholds: [thresholds(policy)] },
  ...keepalive(policy, mesh),
});
