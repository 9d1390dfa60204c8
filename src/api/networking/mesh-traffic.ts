import type { LocalityLbSetting, ZoneAwareLbSetting } from "./load-balancer.js";
import type { TrafficPolicy } from "./traffic-policy.js";

/** The fields of MeshConfig that DestinationRules and clusters fall back to; Istio's defaults where absent. */
export interface MeshTrafficSettings {
  /** Replaced block by block by what a DestinationRule says. */
  readonly defaultTrafficPolicy?: Pick<TrafficPolicy, "connectionPool" | "outlierDetection"> | undefined;
  readonly localityLbSetting?: LocalityLbSetting | undefined;
  readonly zoneAwareLbSetting?: ZoneAwareLbSetting | undefined;
  /** Namespaces, `.` for the rule's own; default all. */
  readonly defaultDestinationRuleExportTo?: readonly string[] | undefined;
  readonly h2UpgradePolicy?: "DO_NOT_UPGRADE" | "UPGRADE" | undefined;
  readonly tcpKeepalive?: { readonly probes?: number; readonly time?: string; readonly interval?: string } | undefined;
  readonly dnsRefreshRateMilliseconds?: number | undefined;
}
