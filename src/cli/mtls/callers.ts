import type { Pod } from "../../api/kubernetes.js";
import { annotations } from "../../injection/annotations.js";
import { findDestinationRule, policyFor } from "../../model/destination-rule.js";
import { inboundPortsOf } from "../../model/inbound.js";
import { selects } from "../../model/selector.js";
import type { Snapshot } from "../../model/snapshot.js";
import { hasSidecar } from "../sidecar.js";

/** Whom an address belongs to. */
export interface CallerIdentity {
  readonly kind: "pod" | "node" | "unknown";
  /** `namespace/name` of a pod, a node's name, or the address. */
  readonly name: string;
  /** As `Deployment/client`, of a pod that something has made. */
  readonly workload?: string;
  readonly node?: string;
  readonly hasSidecar: boolean;
  /** Why it comes in plaintext, or what else is to know; a sentence without a stop. */
  readonly reason: string;
}

const addressesOf = (pod: Pod): readonly string[] =>
  pod.status?.podIPs?.map(({ ip }) => ip) ?? (pod.status?.podIP === undefined ? [] : [pod.status.podIP]);

const isEnded = (pod: Pod): boolean => pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";

const nameOf = (pod: Pod): string => `${pod.metadata?.namespace}/${pod.metadata?.name}`;

/** A Deployment's pods belong to its ReplicaSet, whose name is the Deployment's and the template's hash. */
export const workloadOf = (pod: Pod): string | undefined => {
  const owner = pod.metadata?.ownerReferences?.find(({ controller }) => controller === true);
  if (owner === undefined) return undefined;
  const hash = pod.metadata?.labels?.["pod-template-hash"];
  if (owner.kind === "ReplicaSet" && hash !== undefined && owner.name.endsWith(`-${hash}`))
    return `Deployment/${owner.name.slice(0, -hash.length - 1)}`;
  return `${owner.kind}/${owner.name}`;
};

/** Who has which address; of pods that had it one after the other, the one that lives. */
const indexAddresses = (snapshot: Snapshot) => {
  const pods = new Map<string, Pod>();
  const onHost = new Map<string, string[]>();
  for (const pod of snapshot.pods.values()) {
    if (pod.spec?.hostNetwork === true) {
      const node = pod.spec.nodeName ?? "";
      if (!isEnded(pod)) onHost.set(node, [...(onHost.get(node) ?? []), nameOf(pod)]);
      continue;
    }
    for (const address of addressesOf(pod)) {
      const known = pods.get(address);
      if (known === undefined || isEnded(known)) pods.set(address, pod);
    }
  }
  const nodes = new Map(
    [...snapshot.nodes].flatMap(([name, { status, spec }]) => [
      ...(status?.addresses ?? []).map(({ address }) => [address, name] as const),
      // Of the pod network the first address is usually the node's own, on its bridge to the pods.
      ...(spec?.podCIDRs ?? []).flatMap((range) => {
        const [, base, last] = /^(.*[.:])(\d*)\/\d+$/.exec(range) ?? [];
        return base === undefined ? [] : [[`${base}${Number(last ?? 0) + 1}`, name] as const];
      }),
    ]),
  );
  return { pods, nodes, onHost };
};

/** Why a pod that has a sidecar is heard in plaintext: what its own annotations, then DestinationRules, say. */
const whyPlaintext = (snapshot: Snapshot, caller: Pod, server: Pod, port: number): string => {
  const [own, other] = [caller.metadata?.annotations ?? {}, server.metadata?.labels ?? {}];
  const namespace = caller.metadata?.namespace ?? "default";
  const services = [...(snapshot.servicesOfNamespace.get(server.metadata?.namespace ?? "") ?? [])]
    .flatMap((key) => snapshot.services.get(key) ?? [])
    .filter(({ selector }) => selects(selector, other));
  const numberOf = (service: (typeof services)[number]) =>
    service.ports.filter(({ targetPort }) =>
      typeof targetPort === "number"
        ? targetPort === port
        : inboundPortsOf(snapshot, server).some(
            (one) => one.port === port && one.servicePort.targetPort === targetPort,
          ),
    );
  const called = services.flatMap((service) => numberOf(service).map((servicePort) => ({ service, servicePort })));
  if (own[annotations.interceptionMode.name] === "NONE")
    return "its traffic is not redirected to its sidecar (interceptionMode NONE)";
  const ports = new Set([port, ...called.map(({ servicePort }) => servicePort.port)].map(String));
  const excluded = own[annotations.excludeOutboundPorts.name]?.split(",").map((text) => text.trim()) ?? [];
  const left = excluded.find((text) => ports.has(text));
  if (left !== undefined)
    return `its annotation ${annotations.excludeOutboundPorts.name} leaves port ${left} out of the mesh; take it away`;
  for (const { service, servicePort } of called) {
    const client = { namespace, labels: caller.metadata?.labels ?? {} };
    const rule = findDestinationRule(
      snapshot.destinationRulesOfNamespace,
      client,
      service,
      snapshot.mesh.rootNamespace,
    );
    const tls = policyFor(rule, servicePort.port, "", snapshot.mesh).tls;
    if (rule !== undefined && tls !== undefined && tls.mode !== "ISTIO_MUTUAL")
      return `DestinationRule ${rule.sources.join(", ")} sets tls.mode ${tls.mode ?? "DISABLE"} for ${service.host}; take tls away there`;
  }
  const ranges = own[annotations.excludeOutboundIPRanges.name] ?? own[annotations.includeOutboundIPRanges.name];
  if (ranges !== undefined)
    return `its annotations for outbound IP ranges (${ranges}) may leave the server's address out of the mesh`;
  if (called.length === 0)
    return "the port is in no Service, and to such a port proxies send what they were given; name it in a Service";
  return "it calls the pod's address and not a Service, or past its sidecar (from an init container, or as the proxy's user)";
};

/** Tells who calls a server's port from an address. */
export const createIdentify = (
  snapshot: Snapshot,
): ((address: string, server: Pod, port: number) => CallerIdentity) => {
  const { pods, nodes, onHost } = indexAddresses(snapshot);
  return (address, server, port) => {
    const pod = pods.get(address);
    if (pod !== undefined) {
      const workload = workloadOf(pod);
      const common = {
        kind: "pod" as const,
        name: nameOf(pod),
        ...(workload === undefined ? {} : { workload }),
        ...(pod.spec?.nodeName === undefined ? {} : { node: pod.spec.nodeName }),
        hasSidecar: hasSidecar(pod),
      };
      if (isEnded(pod)) return { ...common, reason: "the pod has ended" };
      if (pod === server) return { ...common, reason: "the pod calls itself" };
      if (hasSidecar(pod)) return { ...common, reason: `has a sidecar: ${whyPlaintext(snapshot, pod, server, port)}` };
      return { ...common, reason: "has no sidecar" };
    }
    const node = nodes.get(address);
    if (node !== undefined) {
      const hosted = onHost.get(node) ?? [];
      const named = hosted.length === 0 ? "" : `, pods in the node's network (${hosted.sort().join(", ")})`;
      return {
        kind: "node",
        name: node,
        node,
        hasSidecar: false,
        reason: `a node: its kubelet where probes are not rewritten${named}, or callers from outside that came by way of it (NodePort, load balancer)`,
      };
    }
    return { kind: "unknown", name: address, hasSidecar: false, reason: "the address is of no pod and no node" };
  };
};
