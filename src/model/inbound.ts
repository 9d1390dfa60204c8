import type { Pod } from "../api/kubernetes.js";
import type { Protocol } from "./protocol.js";
import { selects } from "./selector.js";
import type { MeshService, ServicePort } from "./service.js";
import type { Snapshot } from "./snapshot.js";

/** One port that the workload serves for some service. */
export interface InboundPort {
  readonly port: number;
  readonly protocol: Protocol;
  /** The oldest service that names it, for the connection pool of its DestinationRule. */
  readonly service: MeshService;
  readonly servicePort: ServicePort;
}

const containersOf = (pod: Pod) => [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];

/** The workload's ports that services of its namespace name, ascending. Where two disagree, detection decides. */
export const inboundPortsOf = (snapshot: Snapshot, pod: Pod): readonly InboundPort[] => {
  const labels = pod.metadata?.labels ?? {};
  const numberOf = (target: number | string): number | undefined =>
    typeof target === "number"
      ? target
      : containersOf(pod)
          .flatMap(({ ports }) => ports ?? [])
          .find(({ name }) => name === target)?.containerPort;
  const services = [...(snapshot.servicesOfNamespace.get(pod.metadata?.namespace ?? "") ?? [])]
    .flatMap((key) => snapshot.services.get(key) ?? [])
    .filter(({ selector }) => selects(selector, labels))
    .sort((a, b) => (`${a.createdAt} ${a.key}` < `${b.createdAt} ${b.key}` ? -1 : 1));
  const found = new Map<number, InboundPort>();
  for (const service of services)
    for (const servicePort of service.ports) {
      const port = numberOf(servicePort.targetPort);
      if (port === undefined) continue;
      const known = found.get(port);
      const { protocol } = servicePort;
      if (known === undefined) found.set(port, { port, protocol, service, servicePort });
      else if (known.protocol !== protocol) found.set(port, { ...known, protocol: "auto" });
    }
  return [...found.values()].sort((a, b) => a.port - b.port);
};
