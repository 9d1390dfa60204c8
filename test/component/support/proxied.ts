import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import type { TrafficPolicy } from "../../../src/api/networking/destination-rule.js";
import { outboundCluster } from "../../../src/compile/clusters/outbound.js";
import { hashPolicies, tcpProxyPolicy } from "../../../src/compile/clusters/route-policy.js";
import { loadAssignment, type ProxyContext } from "../../../src/compile/endpoints/assignment.js";
import type { Endpoint, MeshService, ServicePort } from "../../../src/model/service.js";
import type { ClusterLoadAssignment } from "../../../src/proto/envoy/config/endpoint/v3/endpoint_pb.js";
import { meshService, servicePort } from "../../support/services.js";
import type { Proxied } from "./static-envoy.js";

export interface Situation {
  /** Of the service, and so of the cluster. */
  readonly name: string;
  readonly policy: TrafficPolicy;
  readonly endpoints: readonly Endpoint[];
  readonly service?: Partial<MeshService>;
  readonly port?: Partial<ServicePort>;
  readonly subset?: string;
  readonly proxy?: ProxyContext;
}

const parts = ({ name, service, port, subset = "" }: Situation) => ({
  service: meshService({ name, ...service }),
  port: servicePort(port),
  subset,
});

export const clusterOf = (situation: Situation): string => {
  const { service, port, subset } = parts(situation);
  return `outbound|${port.port}|${subset}|${service.host}`;
};

export const assignmentOf = (situation: Situation): ClusterLoadAssignment =>
  loadAssignment({
    clusterName: clusterOf(situation),
    port: parts(situation).port,
    endpoints: situation.endpoints,
    policy: situation.policy,
    mesh: defaultMeshConfig,
    proxy: situation.proxy,
  });

/** What the compiler makes of a policy: cluster, endpoints, and what routes or the TCP proxy need of it. */
export const proxiedOf = (situation: Situation): Proxied => {
  const { policy, endpoints } = situation;
  const { service, port, subset } = parts(situation);
  return {
    cluster: outboundCluster({
      service,
      port,
      subset,
      policy,
      endpoints,
      mesh: defaultMeshConfig,
      source: "prod/rule",
    }),
    assignment: assignmentOf(situation),
    hashPolicies: hashPolicies(policy, service),
    ...(port.protocol === "tcp" ? { tcp: tcpProxyPolicy(policy, service) } : {}),
  };
};
