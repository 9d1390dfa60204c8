import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import type { RetryBudget } from "../../api/networking/traffic-policy.js";
import {
  CircuitBreakers_Thresholds_RetryBudgetSchema,
  type CircuitBreakers_ThresholdsSchema,
} from "../../proto/envoy/config/cluster/v3/circuit_breaker_pb.js";
import type { ClusterSchema } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import { durationOf, durationOfText } from "../duration.js";
import type { Init } from "../init.js";

/** Istio's thresholds: no limit but the type's, where Envoy's own would be 1024, for retries 3. */
const unlimited = 4_294_967_295;
const orUnlimited = (limit: number | undefined): number => (limit === undefined || limit <= 0 ? unlimited : limit);

type Policy = Pick<TrafficPolicy, "connectionPool" | "retryBudget">;
/** Field 3 of RetryBudget, budget_interval, is newer than our Envoy types. */
const budgetIntervalField = 3;

const retryBudgetOf = ({ percent = 20, minRetryConcurrency, budgetInterval }: RetryBudget) => {
  const budget = create(CircuitBreakers_Thresholds_RetryBudgetSchema, {
    budgetPercent: { value: percent },
    minRetryConcurrency: minRetryConcurrency || 3,
  });
  const interval = durationOfText(budgetInterval);
  if (interval !== undefined) {
    const data = new BinaryWriter().bytes(toBinary(DurationSchema, create(DurationSchema, interval))).finish();
    budget.$unknown = [{ no: budgetIntervalField, wireType: WireType.LengthDelimited, data }];
  }
  return budget;
};

const thresholds = ({ connectionPool, retryBudget }: Policy): Init<typeof CircuitBreakers_ThresholdsSchema> => {
  const { tcp, http } = connectionPool ?? {};
  return {
    maxConnections: orUnlimited(tcp?.maxConnections),
    maxPendingRequests: orUnlimited(http?.http1MaxPendingRequests),
    maxRequests: orUnlimited(http?.http2MaxRequests),
    maxRetries: orUnlimited(http?.maxRetries),
    trackRemaining: true,
    ...(retryBudget === undefined ? {} : { retryBudget: retryBudgetOf(retryBudget) }),
  };
};

/** Whole seconds, of which the kernel knows no less than one. */
const keepaliveSeconds = (text: string | undefined): number | undefined => {
  const duration = durationOfText(text);
  return duration === undefined ? undefined : Math.max(1, Number(duration.seconds) + (duration.nanos > 0 ? 1 : 0));
};

/** Field by field: the policy's, else the mesh's. */
const keepalive = (policy: Policy, mesh: MeshConfig) => {
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
export const baseCluster = (name: string, mesh: MeshConfig, policy: Policy = {}): Init<typeof ClusterSchema> => ({
  name,
  connectTimeout:
    durationOfText(policy.connectionPool?.tcp?.connectTimeout) ?? durationOf(mesh.connectTimeoutMilliseconds),
  circuitBreakers: { thresholds: [thresholds(policy)] },
  ...keepalive(policy, mesh),
});
