import { isDeepStrictEqual } from "node:util";
import type { EndpointSlice, ObjectEvent, ObjectSource, Pod, Service } from "../../api/kubernetes.js";
import type { IpFamily } from "./network.js";
import { familyOf, type PodState, slicesOf } from "./services.js";

/** What Kubernetes would be: the objects that were applied and those that its controllers make from them. */
export interface Cluster {
  readonly source: ObjectSource;
  /** A Service without an address is given one. Pods become known by `setPod`. */
  readonly put: (events: readonly ObjectEvent[]) => void;
  readonly setPods: (states: readonly PodState[]) => void;
  readonly removePod: (namespace: string, name: string) => void;
  readonly objects: () => readonly ObjectEvent[];
  readonly services: () => readonly Service[];
  readonly slices: () => readonly EndpointSlice[];
  readonly pods: () => readonly Pod[];
}

const keyOf = ({ kind, namespace, name }: Pick<ObjectEvent, "kind" | "namespace" | "name">): string =>
  `${kind}/${namespace}/${name}`;

const addressOf = { IPv4: (host: number) => `10.96.100.${host}`, IPv6: (host: number) => `fd96::${host.toString(16)}` };

export const createCluster = (families: readonly IpFamily[]): Cluster => {
  const objects = new Map<string, ObjectEvent>();
  const pods = new Map<string, PodState>();
  const hosts = new Map<string, number>();
  let derived = new Map<string, ObjectEvent>();
  let tell: (events: readonly ObjectEvent[]) => void = () => {};

  const withAddress = (service: Service): Service => {
    const { spec, metadata } = service;
    if (spec?.type === "ExternalName" || spec?.clusterIP === "None") return service;
    const given = spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []);
    if (given.length > 0)
      return {
        ...service,
        spec: { ...spec, clusterIP: given[0]!, clusterIPs: given, ipFamilies: given.map(familyOf) },
      };
    const key = `${metadata?.namespace}/${metadata?.name}`;
    const host = hosts.get(key) ?? hosts.size + 1;
    hosts.set(key, host);
    const wanted = (spec?.ipFamilies as readonly IpFamily[] | undefined) ?? families;
    const addresses = wanted.map((family) => addressOf[family](host));
    return { ...service, spec: { ...spec, clusterIP: addresses[0]!, clusterIPs: addresses, ipFamilies: [...wanted] } };
  };

  const services = (): readonly Service[] =>
    [...objects.values()].flatMap(({ kind, object }) => (kind === "Service" && object !== undefined ? [object] : []));

  const sliceEvent = (slice: EndpointSlice): ObjectEvent => {
    const { namespace = "default", name = "" } = slice.metadata ?? {};
    return { kind: "EndpointSlice", namespace, name, object: slice };
  };

  const podEvent = (pod: Pod): ObjectEvent => {
    const { namespace = "default", name = "" } = pod.metadata ?? {};
    return { kind: "Pod", namespace, name, object: pod };
  };

  /** What controllers make anew, and what of it differs. */
  const derive = (): readonly ObjectEvent[] => {
    const states = [...pods.values()];
    const slices = services().flatMap((service) => slicesOf(service, states));
    const events = [...states.map(({ pod }) => podEvent(pod)), ...slices.map(sliceEvent)];
    const next = new Map(events.map((event) => [keyOf(event), event]));
    const changed = events.filter((event) => !isDeepStrictEqual(derived.get(keyOf(event))?.object, event.object));
    const gone = [...derived.values()].filter((event) => !next.has(keyOf(event)));
    derived = next;
    return [...changed, ...gone.map((event): ObjectEvent => ({ ...event, object: undefined }))];
  };

  const publish = (events: readonly ObjectEvent[]): void => {
    const all = [...events, ...derive()];
    if (all.length > 0) tell(all);
  };

  return {
    source: {
      subscribe: (listener) => {
        tell = listener;
        listener([...objects.values(), ...derived.values()]);
      },
      synced: Promise.resolve(),
      stop: async () => {},
    },
    put: (events) => {
      const placed = events.map(
        (event): ObjectEvent =>
          event.kind === "Service" && event.object !== undefined
            ? { ...event, object: withAddress(event.object) }
            : event,
      );
      for (const event of placed)
        if (event.object === undefined) objects.delete(keyOf(event));
        else objects.set(keyOf(event), event);
      publish(placed);
    },
    setPods: (states) => {
      for (const state of states) pods.set(keyOf(podEvent(state.pod)), state);
      publish([]);
    },
    removePod: (namespace, name) => {
      pods.delete(keyOf({ kind: "Pod", namespace, name }));
      publish([]);
    },
    objects: () => [...objects.values()],
    services,
    pods: () => [...pods.values()].map(({ pod }) => pod),
    slices: () =>
      [...objects.values(), ...derived.values()].flatMap(({ kind, object }) =>
        kind === "EndpointSlice" && object !== undefined ? [object] : [],
      ),
  };
};
