import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { ClusterSchema } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import { Cluster_DnsLookupFamily } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import { type Filter, FilterSchema } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { ClusterConfigSchema } from "../../proto/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import type { DnsCacheConfigSchema } from "../../proto/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.js";
import { FilterConfigSchema as HttpFilterConfigSchema } from "../../proto/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js";
import {
  type HttpFilter,
  HttpFilterSchema,
} from "../../proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { FilterConfigSchema as SniFilterConfigSchema } from "../../proto/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.js";
import { durationOf } from "../duration.js";
import { packed } from "../encode.js";
import type { Init } from "../init.js";

/** IP families that the proxy reaches; unknown: IPv4 first. */
export type Families = readonly ("IPv4" | "IPv6")[] | undefined;

export const lookupFamily = (families: Families): Cluster_DnsLookupFamily => {
  if (families === undefined) return Cluster_DnsLookupFamily.V4_PREFERRED;
  if (!families.includes("IPv6")) return Cluster_DnsLookupFamily.V4_ONLY;
  return families.includes("IPv4") ? Cluster_DnsLookupFamily.ALL : Cluster_DnsLookupFamily.V6_ONLY;
};

type Mesh = Pick<MeshConfig, "dnsRefreshRateMilliseconds">;

/**
 * One cache for all wildcard hosts, so that one filter fills it for all of them. Its name tells its settings, since Envoy
 * refuses a cache of the same name with others, also while the earlier one is on its way out.
 */
const cache = (families: Families, { dnsRefreshRateMilliseconds }: Mesh): Init<typeof DnsCacheConfigSchema> => {
  const dnsLookupFamily = lookupFamily(families);
  return {
    name: `dynamic-dns ${Cluster_DnsLookupFamily[dnsLookupFamily]} ${dnsRefreshRateMilliseconds}`,
    dnsLookupFamily,
    dnsRefreshRate: durationOf(dnsRefreshRateMilliseconds),
  };
};

/** Connects to whatever host the request or the TLS handshake names. */
export const dynamicDnsDiscovery = (families: Families, mesh: Mesh): Init<typeof ClusterSchema> => ({
  clusterDiscoveryType: {
    case: "clusterType",
    value: {
      name: "envoy.clusters.dynamic_forward_proxy",
      typedConfig: packed(
        ClusterConfigSchema,
        create(ClusterConfigSchema, {
          clusterImplementationSpecifier: { case: "dnsCacheConfig", value: cache(families, mesh) },
          // Else Envoy refuses a rule that fixes the server's name: it is the author's to say.
          allowInsecureClusterOptions: true,
        }),
      ),
    },
  },
});

/** Before the router, of every HTTP listener with a wildcard host of DYNAMIC_DNS; idle for requests to other clusters. */
export const dynamicDnsHttpFilter = (families: Families, mesh: Mesh): HttpFilter =>
  create(HttpFilterSchema, {
    name: "envoy.filters.http.dynamic_forward_proxy",
    configType: {
      case: "typedConfig",
      value: packed(
        HttpFilterConfigSchema,
        create(HttpFilterConfigSchema, {
          implementationSpecifier: { case: "dnsCacheConfig", value: cache(families, mesh) },
        }),
      ),
    },
  });

/** Before the TCP proxy of a chain for TLS that is matched by SNI; `port` is the one to connect to. */
export const dynamicDnsSniFilter = (port: number, families: Families, mesh: Mesh): Filter =>
  create(FilterSchema, {
    name: "envoy.filters.network.sni_dynamic_forward_proxy",
    configType: {
      case: "typedConfig",
      value: packed(
        SniFilterConfigSchema,
        create(SniFilterConfigSchema, {
          dnsCacheConfig: cache(families, mesh),
          portSpecifier: { case: "portValue", value: port },
        }),
      ),
    },
  });
