import type { MeshConfig } from "../meshconfig.js";
import type { ZoneAwareLbSetting } from "./load-balancer.js";

/** The fields of MeshConfig that DestinationRules and clusters fall back to; Istio's defaults where absent. */
export type MeshTrafficSettings = Partial<
  Pick<
    MeshConfig,
    | "defaultTrafficPolicy"
    | "localityLbSetting"
    | "defaultDestinationRuleExportTo"
    | "h2UpgradePolicy"
    | "tcpKeepalive"
    | "dnsRefreshRateMilliseconds"
  >
> & { readonly zoneAwareLbSetting?: ZoneAwareLbSetting };
