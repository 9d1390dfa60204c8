import { create } from "@bufbuild/protobuf";
import { takesMutualTls } from "../../model/service.js";
import { type Cluster, Cluster_LbPolicy, ClusterSchema } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { MetadataSchema } from "../../proto/envoy/config/core/v3/base_pb.js";
import { localityRule } from "../endpoints/locality.js";
import type { Init } from "../init.js";
import { baseCluster } from "./base.js";
import { type Discovery, discovery, discoveryOf, inlineEndpoints } from "./discovery.js";
import { loadBalancing, outlierDetection } from "./load-balancer.js";
import { outboundClusterName } from "./names.js";
import type { OutboundClusterOptions } from "./options.js";
import { protocolOptions, spokenProtocol } from "./protocol.js";
import { allTakeMutualTls, isUnattainable, peersOf, transportOf } from "./transport.js";

export type { OutboundClusterOptions } from "./options.js";

/** The path of a DestinationRule, as Istio's tools look for it. */
const metadata = (source: string, subset: string): Init<typeof MetadataSchema> => {
  const [namespace, name] = source.split("/");
  const config = `/apis/networking.istio.io/v1/namespaces/${namespace}/destination-rule/${name}`;
  return { filterMetadata: { istio: subset === "" ? { config } : { config, subset } } };
};

const isChosenByCluster = (kind: Discovery): boolean => kind === "original-destination" || kind === "dynamic-dns";

/**
 * One port of a service, or of a subset of it. Where the rule asks for certificates that the proxy cannot be given, the
 * cluster has no endpoints: requests fail (503, UH) rather than go unprotected.
 */
export const outboundCluster = (options: OutboundClusterOptions): Cluster => {
  const { service, port, subset, policy, mesh, source } = options;
  const name = outboundClusterName(service.host, port.port, subset);
  const kind = isUnattainable(policy.tls) ? "none" : discoveryOf(options);
  const protocol = spokenProtocol(port.protocol, policy, mesh);
  const transport = kind === "none" ? undefined : transportOf(options, protocol, kind === "original-destination");
  return create(ClusterSchema, {
    ...baseCluster(name, mesh, policy),
    ...(isChosenByCluster(kind)
      ? { lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED }
      : loadBalancing(policy, service, localityRule(policy, mesh, options.trafficDistribution))),
    ...discovery(kind, options, name),
    ...transport?.cluster,
    typedExtensionProtocolOptions: protocolOptions(protocol, policy, transport?.auto),
    ...(policy.outlierDetection === undefined ? {} : { outlierDetection: outlierDetection(policy.outlierDetection) }),
    ...(source === undefined ? {} : { metadata: metadata(source, subset) }),
  });
};

/** What of the endpoints the cluster depends on: where this stays the same, a change of them is none of the cluster's. */
export const clusterInputKey = (options: OutboundClusterOptions): string => {
  const { service, port, policy, endpoints, mesh } = options;
  const kind = isUnattainable(policy.tls) ? "none" : discoveryOf(options);
  const usesMeshTls =
    policy.tls === undefined ? mesh.enableAutoMtls && !service.isExternal : policy.tls.mode === "ISTIO_MUTUAL";
  const inlined =
    kind === "dns" || kind === "dns-round-robin"
      ? inlineEndpoints(options).map((endpoint) => {
          const { address, ports, labels, region, zone, subzone, nodeName, weight } = endpoint;
          return [
            [address, ports.get(port.name), takesMutualTls(endpoint, port.name), weight, region, zone, subzone],
            options.proxy === undefined ? [] : [labels, nodeName],
          ];
        })
      : [];
  return JSON.stringify([
    kind,
    usesMeshTls ? peersOf(service, endpoints, mesh) : [],
    usesMeshTls && endpoints.some(({ isInMesh }) => isInMesh),
    kind === "original-destination" && allTakeMutualTls(endpoints, port),
    inlined,
  ]);
};
