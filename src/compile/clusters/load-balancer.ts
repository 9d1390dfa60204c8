import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import type { ConsistentHash, LoadBalancerSettings } from "../../api/networking/load-balancer.js";
import type { OutlierDetection } from "../../api/networking/outlier-detection.js";
import type { MeshService } from "../../model/service.js";
import {
  type Cluster_CommonLbConfigSchema,
  Cluster_LbPolicy,
  type Cluster_SlowStartConfigSchema,
  type ClusterSchema,
} from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { OutlierDetectionSchema } from "../../proto/envoy/config/cluster/v3/outlier_detection_pb.js";
import { HealthStatus } from "../../proto/envoy/config/core/v3/health_check_pb.js";
import { durationOfText } from "../duration.js";
import type { LocalityRule } from "../endpoints/locality.js";
import type { Init } from "../init.js";

type ClusterInit = Init<typeof ClusterSchema>;

const slowStart = (settings: LoadBalancerSettings): Init<typeof Cluster_SlowStartConfigSchema> | undefined => {
  const slowStartWindow = durationOfText(settings.warmup?.duration ?? settings.warmupDurationSecs);
  if (slowStartWindow === undefined) return undefined;
  const { minimumPercent, aggression } = settings.warmup ?? {};
  return {
    slowStartWindow,
    ...(minimumPercent === undefined ? {} : { minWeightPercent: { value: minimumPercent } }),
    // The key is never set in a runtime layer: Envoy asks for one beside the value.
    ...(aggression === undefined
      ? {}
      : { aggression: { defaultValue: aggression, runtimeKey: "heddle.warmup.aggression" } }),
  };
};

const consistentHash = ({ maglev, ringHash, minimumRingSize }: ConsistentHash): ClusterInit => {
  if (maglev !== undefined)
    return {
      lbPolicy: Cluster_LbPolicy.MAGLEV,
      ...(maglev.tableSize === undefined || Number(maglev.tableSize) === 0
        ? {}
        : { lbConfig: { case: "maglevLbConfig", value: { tableSize: BigInt(maglev.tableSize) } } }),
    };
  const size = BigInt(ringHash?.minimumRingSize || minimumRingSize || 1024);
  return {
    lbPolicy: Cluster_LbPolicy.RING_HASH,
    lbConfig: { case: "ringHashLbConfig", value: { minimumRingSize: size } },
  };
};

const algorithm = (settings: LoadBalancerSettings, service: MeshService): ClusterInit => {
  if (settings.consistentHash !== undefined) return consistentHash(settings.consistentHash);
  const slowStartConfig = slowStart(settings);
  switch (settings.simple ?? "UNSPECIFIED") {
    case "RANDOM":
      return { lbPolicy: Cluster_LbPolicy.RANDOM };
    case "ROUND_ROBIN":
      return {
        lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
        ...(slowStartConfig === undefined
          ? {}
          : { lbConfig: { case: "roundRobinLbConfig", value: { slowStartConfig } } }),
      };
    case "UNSPECIFIED":
      if (service.clientAffinity) return { lbPolicy: Cluster_LbPolicy.MAGLEV };
  }
  return {
    lbPolicy: Cluster_LbPolicy.LEAST_REQUEST,
    ...(slowStartConfig === undefined
      ? {}
      : { lbConfig: { case: "leastRequestLbConfig", value: { slowStartConfig } } }),
  };
};

type CommonLbConfig = Init<typeof Cluster_CommonLbConfigSchema>;

/** Weights of localities are looked at only where asked for: they would make LEAST_REQUEST choose less well. */
const localities = (rule: LocalityRule): CommonLbConfig => {
  if (rule.kind === "zoneAware") {
    const { minClusterSize } = rule.setting;
    const value = minClusterSize === undefined ? {} : { minClusterSize: BigInt(minClusterSize) };
    return { localityConfigSpecifier: { case: "zoneAwareLbConfig", value } };
  }
  return rule.kind === "distribute" || (rule.kind === "failover" && rule.isExplicit)
    ? { localityConfigSpecifier: { case: "localityWeightedLbConfig", value: {} } }
    : {};
};

/** How endpoints are chosen. Where few are healthy, the others are not used again unless minHealthPercent says so. */
export const loadBalancing = (policy: TrafficPolicy, service: MeshService, rule: LocalityRule): ClusterInit => ({
  ...algorithm(policy.loadBalancer ?? {}, service),
  commonLbConfig: {
    healthyPanicThreshold: { value: policy.outlierDetection?.minHealthPercent ?? 0 },
    ...localities(rule),
    // Who persists in an endpoint stays there while it drains.
    ...(service.persistentSession === undefined
      ? {}
      : { overrideHostStatus: { statuses: [HealthStatus.UNKNOWN, HealthStatus.HEALTHY, HealthStatus.DRAINING] } }),
  },
});

/** A counter that is given is enforced, unless it is 0; by success rate no host is ever ejected. */
export const outlierDetection = (settings: OutlierDetection): Init<typeof OutlierDetectionSchema> => {
  const enforced = (count: number): number => (count > 0 ? 100 : 0);
  const {
    consecutive5xxErrors: errors,
    consecutiveGatewayErrors: gatewayErrors,
    consecutiveLocalOriginFailures: failures = 0,
    maxEjectionPercent = 0,
  } = settings;
  const interval = durationOfText(settings.interval);
  const baseEjectionTime = durationOfText(settings.baseEjectionTime);
  return {
    enforcingSuccessRate: 0,
    ...(errors === undefined ? {} : { consecutive5xx: errors, enforcingConsecutive5xx: enforced(errors) }),
    ...(gatewayErrors === undefined
      ? {}
      : { consecutiveGatewayFailure: gatewayErrors, enforcingConsecutiveGatewayFailure: enforced(gatewayErrors) }),
    ...(interval === undefined ? {} : { interval }),
    ...(baseEjectionTime === undefined ? {} : { baseEjectionTime }),
    ...(maxEjectionPercent > 0 ? { maxEjectionPercent } : {}),
    ...(settings.splitExternalLocalOriginErrors === true
      ? {
          splitExternalLocalOriginErrors: true,
          enforcingLocalOriginSuccessRate: 0,
          ...(failures > 0
            ? { consecutiveLocalOriginFailure: failures, enforcingConsecutiveLocalOriginFailure: 100 }
            : {}),
        }
      : {}),
  };
};
