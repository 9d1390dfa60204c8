import { create } from "@bufbuild/protobuf";
import { type Cluster, Cluster_LbPolicy, ClusterSchema } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { MetadataSchema } from "../../proto/envoy/config/core/v3/base_pb.js";
import { localityRule } from "../endpoints/locality.js";
import type { Init } from "../init.js";
import { metadataKey, serviceName } from "../telemetry/keys.js";
import { baseCluster } from "./base.js";
import { type Discovery, discovery, discoveryOf } from "./discovery.js";
import { loadBalancing, outlierDetection } from "./load-balancer.js";
import { outboundClusterName } from "./names.js";
import type { OutboundClusterOptions } from "./options.js";
import { protocolOptions, spokenProtocol } from "./protocol.js";
import { isUnattainable, transportOf } from "./transport.js";

export type { OutboundClusterOptions } from "./options.js";

/** The path of a DestinationRule, as Istio's tools look for it. */
const ruleMetadata = (source: string, subset: string) => {
  const [namespace, name] = source.split("/");
  const config = `/apis/networking.istio.io/v1/namespaces/${namespace}/destination-rule/${name}`;
  return { istio: subset === "" ? { config } : { config, subset } };
};

const metadata = ({ service, source, subset }: OutboundClusterOptions): Init<typeof MetadataSchema> => ({
  filterMetadata: {
    [metadataKey]: serviceName(service),
    ...(source === undefined ? {} : ruleMetadata(source, subset)),
  },
});

const isChosenByCluster = (kind: Discovery): boolean => kind === "original-destination" || kind === "dynamic-dns";

/**
 * One port of a service, or of a subset of it. Where the rule asks for certificates that the proxy cannot be given, the
 * cluster has no endpoints: requests fail (503, UH) rather than go unprotected.
 */
export const outboundCluster = (options: OutboundClusterOptions): Cluster => {
  const { service, port, subset, policy, mesh } = options;
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
    metadata: metadata(options),
  });
};
