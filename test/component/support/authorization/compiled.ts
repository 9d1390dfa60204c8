import { type MeshConfig, readMeshConfig } from "../../../../src/api/meshconfig.js";
import { unusedMeshConfigFields } from "../../../../src/api/meshconfig-schema.js";
import type { Listener } from "../../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import type { Situation } from "../../../support/arbitrary/authorization.js";
import { issuers, podAddresses, ports } from "../../../support/arbitrary/authorization-pools.js";
import { compileYaml } from "../../../support/compiled.js";
import { withDiscovered } from "../../../support/discovered.js";
import { keySet } from "./tokens.js";

/** What the compiler makes of a pod, its Service and the policies. */
export interface CompiledInbound {
  readonly listener: Listener;
  readonly clusters: readonly string[];
}

/** Where `ask-http` is. */
export const authorizer = { service: "authorizer.istio-system.svc.cluster.local", port: 8000 } as const;

/** Whether the mesh configuration has external authorizers. */
export const hasExternalAuthorizers = !unusedMeshConfigFields.has("extensionProviders");

/** As Istio's proxies tell it: `allowed` or `denied`, `-` where there is no such policy or none of this protocol. */
const dryRunResult = (protocol: string, action: string): string =>
  `%DYNAMIC_METADATA(envoy.filters.${protocol}.rbac:istio_dry_run_${action}_shadow_engine_result)%`;

const meshOf = ({ workload }: Situation, accessLogFile: string): MeshConfig =>
  readMeshConfig(
    {
      rootNamespace: workload.rootNamespace,
      trustDomain: workload.trustDomain,
      trustDomainAliases: workload.trustDomainAliases,
      accessLogFile,
      accessLogFormat: [
        "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%",
        ...["allow", "deny"].map(
          (action) => `dry run ${action}: ${dryRunResult("http", action)}${dryRunResult("network", action)}`,
        ),
      ].join(" "),
      extensionProviders: Object.keys(workload.providers).map((name) => ({
        name,
        envoyExtAuthzHttp: { ...authorizer, includeRequestHeadersInCheck: ["x-external"] },
      })),
    },
    "cluster.local",
  );

const served = (name: string, namespace: string, spec: object): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace },
  spec: { clusterIP: "10.96.0.7", clusterIPs: ["10.96.0.7"], ...spec },
});

const objectsOf = ({ workload: { namespace, labels }, policies }: Situation): readonly object[] => [
  {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "server", namespace, uid: "server", labels },
    spec: { serviceAccountName: "server", containers: [{ name: "app" }] },
    status: { podIP: podAddresses.ipv4, podIPs: Object.values(podAddresses).map((ip) => ({ ip })) },
  },
  served("server", namespace, {
    selector: { app: "server" },
    ports: [
      { name: "http", port: 80, targetPort: ports.http },
      { name: "tcp", port: ports.tcp, targetPort: ports.tcp },
      { name: "any", port: ports.any, targetPort: ports.any },
    ],
  }),
  served("authorizer", "istio-system", { clusterIP: "10.96.0.8", ports: [{ name: "http", port: authorizer.port }] }),
  {
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name: "tokens", namespace },
    spec: { jwtRules: issuers.map((issuer) => ({ issuer, jwks: keySet, forwardOriginalToken: true })) },
  },
  ...policies.map((policy) => ({ apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", ...policy })),
];

/** By the compiler itself, from objects to the listener that the pod's proxy is sent. */
export const compiledInbound = (situation: Situation, accessLogFile: string): CompiledInbound => {
  const yaml = objectsOf(situation).map((object) => JSON.stringify(object));
  const pod = `${situation.workload.namespace}/server`;
  // What cannot be compiled, as a policy that asks a provider which nobody knows, is compared too.
  const { listeners, clusters, extensions } = compileYaml(
    yaml.join("\n---\n"),
    pod,
    meshOf(situation, accessLogFile),
    () => undefined,
  );
  return { listener: withDiscovered(listeners.get("virtualInbound")!, extensions), clusters: [...clusters.keys()] };
};
