import type { Pod } from "../api/kubernetes.js";
import type { MeshConfig } from "../api/meshconfig.js";
import type { TrafficPolicy } from "../api/networking/destination-rule.js";
import type { SidecarSpec } from "../api/networking/sidecar.js";
import { findDestinationRule, policyFor } from "../model/destination-rule.js";
import { type InboundPort, inboundPortsOf } from "../model/inbound.js";
import { declaredProtocol } from "../model/service-entry.js";
import type { Snapshot } from "../model/snapshot.js";
import type { Client } from "./client.js";
import type { ServedPort } from "./listeners/inbound.js";

type Pool = Pick<TrafficPolicy, "connectionPool" | "retryBudget">;

/** A port that a pod serves, and how its application is called. */
export interface ServedPortPolicy extends ServedPort {
  readonly policy: Pool | undefined;
  /** `address:port` or `unix://path`; undefined for the address that the caller meant. */
  readonly endpoint: string | undefined;
  /** Where the proxy listens itself, without redirection. */
  readonly bind: string | undefined;
}

type Ingress = NonNullable<SidecarSpec["ingress"]>[number];

const localhost = (pod: Pod): string => (pod.status?.podIP?.includes(":") === true ? "[::1]" : "127.0.0.1");

/** The policy of the service's own DestinationRule, as a client of its namespace has it. */
const ownPolicy = (snapshot: Snapshot, { service, servicePort }: InboundPort, client: Client): Pool | undefined => {
  const rule = findDestinationRule(
    snapshot.destinationRulesOfNamespace,
    { namespace: service.namespace, labels: client.labels },
    service,
    snapshot.mesh.rootNamespace,
  );
  return rule === undefined ? undefined : policyFor(rule, servicePort.port, "", snapshot.mesh);
};

const poolOnly = (connectionPool: Pool["connectionPool"]): Pool | undefined =>
  connectionPool === undefined ? undefined : { connectionPool };

/** Of a Sidecar's ingress, `0.0.0.0` and `::` stand for the pod's own address. */
const endpointOf = ({ defaultEndpoint }: Ingress, pod: Pod): string | undefined => {
  const own = pod.status?.podIP ?? "";
  const [, port] = /^(?:0\.0\.0\.0|\[::\]):(\d+)$/.exec(defaultEndpoint ?? "") ?? [];
  if (port !== undefined) return `${own.includes(":") ? `[${own}]` : own}:${port}`;
  return defaultEndpoint === "" ? undefined : defaultEndpoint;
};

const fromIngress = (ingress: Ingress, sidecar: SidecarSpec, pod: Pod): ServedPortPolicy => ({
  port: ingress.port?.number ?? 0,
  protocol: declaredProtocol(ingress.port?.protocol),
  policy: poolOnly(ingress.connectionPool ?? sidecar.inboundConnectionPool),
  endpoint: endpointOf(ingress, pod),
  bind: ingress.captureMode === "NONE" ? ingress.bind || (pod.status?.podIP ?? "") : undefined,
});

const defaultEndpoint = (mesh: MeshConfig, pod: Pod, port: number): string | undefined =>
  mesh.inboundTrafficPolicy === "LOCALHOST" ? `${localhost(pod)}:${port}` : undefined;

/** By the pod's Sidecar if that has ingress listeners, else by the services that select it. */
export const servedPortsOf = (snapshot: Snapshot, pod: Pod, client: Client): readonly ServedPortPolicy[] => {
  const sidecar = client.sidecar?.spec;
  if (sidecar?.ingress !== undefined && sidecar.ingress.length > 0)
    return sidecar.ingress.map((ingress) => fromIngress(ingress, sidecar, pod));
  return inboundPortsOf(snapshot, pod).map((port) => ({
    port: port.port,
    protocol: port.protocol,
    policy: poolOnly(sidecar?.inboundConnectionPool) ?? ownPolicy(snapshot, port, client),
    endpoint: defaultEndpoint(snapshot.mesh, pod, port.port),
    bind: undefined,
  }));
};
