import type { Pod } from "../api/kubernetes.js";
import type { TrafficPolicy } from "../api/networking/destination-rule.js";
import { findDestinationRule, policyFor } from "../model/destination-rule.js";
import { type InboundPort, inboundPortsOf } from "../model/inbound.js";
import { type IngressPort, ingressOf } from "../model/ingress.js";
import { type MtlsMode, type MtlsModes, modeOfPort } from "../model/peer-authentication.js";
import type { Snapshot } from "../model/snapshot.js";
import type { Client } from "./client.js";
import { type ServiceName, serviceName } from "./telemetry/keys.js";

type Pool = Pick<TrafficPolicy, "connectionPool" | "retryBudget">;

/** A port that a pod serves, and how its application is called. */
export interface ServedPort extends Omit<IngressPort, "connectionPool"> {
  readonly policy: Pool | undefined;
  /** The oldest that it is served for. */
  readonly service: ServiceName | undefined;
  readonly mtls: MtlsMode;
}

const poolOnly = (connectionPool: Pool["connectionPool"]): Pool | undefined => connectionPool && { connectionPool };

/** The policy of the service's own DestinationRule, as a client of its namespace has it. */
const ownPolicy = (snapshot: Snapshot, { service, servicePort }: InboundPort, client: Client): Pool => {
  const rule = findDestinationRule(
    snapshot.destinationRulesOfNamespace,
    { namespace: service.namespace, labels: client.labels },
    service,
    snapshot.mesh.rootNamespace,
  );
  return policyFor(rule, servicePort.port, "", snapshot.mesh);
};

/** By the pod's Sidecar if that has ingress listeners, else by the services that select it. */
export const servedPortsOf = (
  snapshot: Snapshot,
  pod: Pod,
  client: Client,
  modes: MtlsModes,
): readonly ServedPort[] => {
  const { sidecar } = client;
  const address = pod.status?.podIP ?? "";
  const ingress = ingressOf(sidecar, address, client.isRedirected);
  if (ingress !== undefined)
    return ingress.map(({ connectionPool, ...port }) => ({
      ...port,
      policy: poolOnly(connectionPool),
      service: undefined,
      mtls: modeOfPort(modes, port.port),
    }));
  const isLocal = snapshot.mesh.inboundTrafficPolicy === "LOCALHOST";
  const localhost = address.includes(":") ? "::1" : "127.0.0.1";
  return inboundPortsOf(snapshot, pod).map((served) => ({
    port: served.port,
    protocol: served.protocol,
    bind: undefined,
    endpoint: isLocal ? { address: localhost, port: served.port } : undefined,
    policy: poolOnly(sidecar?.spec.inboundConnectionPool) ?? ownPolicy(snapshot, served, client),
    mtls: modeOfPort(modes, served.port),
    service: serviceName(served.service),
  }));
};
