import type { Pod } from "../api/kubernetes.js";
import type { EnvoyFilter } from "../api/networking/envoy-filter.js";
import type { Sidecar } from "../api/networking/sidecar.js";
import { selectEnvoyFilters } from "../model/envoy-filter.js";
import { hostnameLabel, type Labels } from "../model/selector.js";
import { sidecarOf } from "../model/sidecar-scope.js";
import type { Snapshot } from "../model/snapshot.js";
import { type Reporting, telemetryOf } from "../model/telemetry.js";
import type { ProxyLocality } from "./endpoints/assignment.js";
import type { IpFamilies, IpFamily } from "./listeners/addresses.js";

/** All that decides what a proxy sees of the mesh. Clients with equal keys see the same. */
export interface Client {
  readonly key: string;
  readonly families: IpFamilies;
  /** "" is nobody's: what every client sees that has no rules of its own. */
  readonly namespace: string;
  /** Only the labels that some rule chooses its clients by. */
  readonly labels: Labels;
  readonly sidecar: Sidecar | undefined;
  /** Whether traffic is redirected to the proxy; if not, its Sidecar says where it listens. */
  readonly isRedirected: boolean;
  readonly filters: readonly EnvoyFilter[];
  /** What is told of the traffic that it sends. */
  readonly reporting: Reporting;
}

/** What of a proxy decides its load balancing by locality. */
export interface ProxyPlace {
  readonly key: string;
  readonly locality: ProxyLocality;
  readonly labels: Labels;
  readonly nodeName: string | undefined;
}

const numbers = new WeakMap<object, number>();
let last = 0;

/** A changed object is another object: its number stands for its content. */
export const numberOf = (object: object): number => {
  const known = numbers.get(object);
  if (known !== undefined) return known;
  numbers.set(object, ++last);
  return last;
};

const clientWith = (fields: Omit<Client, "key">): Client => ({
  ...fields,
  key: JSON.stringify([
    fields.families,
    fields.namespace,
    Object.entries(fields.labels).sort(),
    fields.sidecar === undefined ? 0 : numberOf(fields.sidecar),
    fields.isRedirected,
    fields.filters.map(numberOf),
    numberOf(fields.reporting),
  ]),
});

export const familiesOf = (pod: Pod): IpFamilies => {
  const addresses = pod.status?.podIPs?.map(({ ip }) => ip) ?? [pod.status?.podIP];
  const families = addresses.map((ip): IpFamily => (ip?.includes(":") ? "IPv6" : "IPv4"));
  return [...new Set(families)];
};

/** One that has no rules of its own. */
export const nobody = ({ families, reporting }: Pick<Client, "families" | "reporting">): Client =>
  clientWith({ families, reporting, namespace: "", labels: {}, sidecar: undefined, isRedirected: true, filters: [] });

/** Names of the labels that any rule chooses its clients by. */
export const chosenLabels = (snapshot: Snapshot): ReadonlySet<string> =>
  new Set([...snapshot.clientLabels.values()].flatMap((labels) => [...labels]));

const only = (labels: Labels, names: ReadonlySet<string>): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([label]) => names.has(label)));

/** `filterInForce` gives the version of a filter that is to be applied, if any. */
export const clientOf = (
  snapshot: Snapshot,
  pod: Pod,
  chosen: ReadonlySet<string>,
  filterInForce: (filter: EnvoyFilter) => EnvoyFilter | undefined,
): Client => {
  const namespace = pod.metadata?.namespace ?? "default";
  const labels = pod.metadata?.labels ?? {};
  return clientWith({
    families: familiesOf(pod),
    namespace,
    labels: only(labels, chosen),
    sidecar: sidecarOf(snapshot, namespace, labels),
    isRedirected: pod.metadata?.annotations?.["sidecar.istio.io/interceptionMode"] !== "NONE",
    filters: selectEnvoyFilters(
      [...snapshot.envoyFilters.values()].flatMap((filter) => filterInForce(filter) ?? []),
      { namespace, labels },
      snapshot.mesh.rootNamespace,
    ),
    reporting: telemetryOf(snapshot, namespace, labels).client,
  });
};

export const placeOf = (snapshot: Snapshot, pod: Pod, chosen: ReadonlySet<string>): ProxyPlace => {
  const labels = snapshot.nodes.get(pod.spec?.nodeName ?? "")?.metadata?.labels ?? {};
  const locality = {
    region: labels["topology.kubernetes.io/region"] ?? "",
    zone: labels["topology.kubernetes.io/zone"] ?? "",
    subzone: labels["topology.istio.io/subzone"] ?? "",
  };
  const own = only(pod.metadata?.labels ?? {}, chosen);
  // By node only if that matters to anyone: there are many.
  const nodeName = chosen.has(hostnameLabel) ? pod.spec?.nodeName : undefined;
  return { locality, labels: own, nodeName, key: JSON.stringify([locality, Object.entries(own).sort(), nodeName]) };
};
