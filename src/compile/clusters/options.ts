import type { MeshConfig } from "../../api/meshconfig.js";
import type { TrafficPolicy } from "../../api/networking/destination-rule.js";
import type { Endpoint, MeshService, ServicePort, TrafficDistribution } from "../../model/service.js";
import type { ProxyContext } from "../endpoints/priorities.js";
import type { Families } from "./dynamic-dns.js";

export interface OutboundClusterOptions {
  readonly service: MeshService;
  readonly port: ServicePort;
  /** "" for the whole service. */
  readonly subset: string;
  /** Labels of the subset. Without any, a DNS host with no endpoints stands for itself. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly policy: TrafficPolicy;
  /** Of the subset. */
  readonly endpoints: readonly Endpoint[];
  readonly mesh: MeshConfig;
  /** `namespace/name` of the DestinationRule. */
  readonly source: string | undefined;
  /** What the proxies of this cluster can reach; unknown: IPv4 first. */
  readonly families?: Families;
  /** For DNS, whose endpoints are inside the cluster: the proxy that locality and failover are relative to. */
  readonly proxy?: ProxyContext | undefined;
  readonly trafficDistribution?: TrafficDistribution | undefined;
}
