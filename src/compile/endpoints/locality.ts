import type { MeshConfig } from "../../api/meshconfig.js";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import type { LocalityLbSetting, ZoneAwareLbSetting } from "../../api/networking/load-balancer.js";
import type { TrafficDistribution } from "../../model/service.js";

export type LocalityMesh = Pick<MeshConfig, "localityLbSetting">;

const nearLabels = [
  "topology.istio.io/network",
  "topology.kubernetes.io/region",
  "topology.kubernetes.io/zone",
] as const;

/** PreferClose is the old name of PreferSameZone. */
const nearness: Readonly<Record<TrafficDistribution, readonly string[]>> = {
  PreferClose: nearLabels,
  PreferSameZone: nearLabels,
  PreferSameNode: [...nearLabels, "topology.istio.io/subzone", "kubernetes.io/hostname"],
};

/** How localities matter to one cluster, when all that may say so has been heard. */
export type LocalityRule =
  | { readonly kind: "none" }
  | { readonly kind: "distribute"; readonly distribute: NonNullable<LocalityLbSetting["distribute"]> }
  | {
      readonly kind: "failover";
      readonly failover: NonNullable<LocalityLbSetting["failover"]>;
      readonly failoverPriority: readonly string[];
      /** Asked for, not Istio's default that comes with outlier detection. */
      readonly isExplicit: boolean;
    }
  | { readonly kind: "zoneAware"; readonly setting: ZoneAwareLbSetting };

const none: LocalityRule = { kind: "none" };

const ofLocality = (setting: LocalityLbSetting, isForced: boolean, hasOutlierDetection: boolean): LocalityRule => {
  if (setting.enabled === false) return none;
  const { distribute = [], failover = [], failoverPriority = [] } = setting;
  if (distribute.length > 0) return { kind: "distribute", distribute };
  // Without outlier detection no endpoint ever counts as failed, and the far ones would never be used.
  if (!isForced && !hasOutlierDetection) return none;
  return { kind: "failover", failover, failoverPriority, isExplicit: failover.length + failoverPriority.length > 0 };
};

const ofZones = (setting: ZoneAwareLbSetting): LocalityRule =>
  setting.enabled === false ? none : { kind: "zoneAware", setting };

/** The DestinationRule's setting, else the Service's trafficDistribution, else the mesh's: each as a whole. */
export const localityRule = (
  policy: TrafficPolicy,
  mesh: LocalityMesh,
  trafficDistribution?: TrafficDistribution,
): LocalityRule => {
  const { localityLbSetting, zoneAwareLbSetting } = policy.loadBalancer ?? {};
  const hasOutlierDetection = policy.outlierDetection !== undefined;
  if (zoneAwareLbSetting !== undefined) return ofZones(zoneAwareLbSetting);
  if (localityLbSetting !== undefined) return ofLocality(localityLbSetting, false, hasOutlierDetection);
  if (trafficDistribution !== undefined)
    return ofLocality({ failoverPriority: [...nearness[trafficDistribution]] }, true, hasOutlierDetection);
  return ofLocality(mesh.localityLbSetting, false, hasOutlierDetection);
};

/** Whether endpoints are ranked or weighted by where the proxy is: each place has its own assignment then. */
export const dependsOnProxy = (
  policy: TrafficPolicy,
  mesh: LocalityMesh,
  trafficDistribution?: TrafficDistribution,
): boolean => localityRule(policy, mesh, trafficDistribution).kind !== "none";

export const priorityLabelsOf = (rule: LocalityRule): readonly string[] => {
  if (rule.kind === "failover") return rule.failoverPriority;
  return rule.kind === "zoneAware" ? (rule.setting.failoverPriority ?? []) : [];
};
