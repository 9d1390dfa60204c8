import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1Namespace, V1Pod, V1Service } from "@kubernetes/client-node";
import { parseAllDocuments } from "yaml";
import type { ObjectEvent, ObjectSource, Pod } from "../../api/kubernetes.js";

export interface LocalObjects {
  readonly namespaces: readonly V1Namespace[];
  readonly services: readonly V1Service[];
  readonly pods: readonly V1Pod[];
}

/** Reads the Namespaces, Services and Pods of a directory's YAML files. Throws an Error with file and cure. */
export const readObjects = async (folder: string): Promise<LocalObjects> => {
  const files = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name)).sort();
  if (files.length === 0) throw new Error(`${folder}: holds no .yaml file; name a directory with Kubernetes YAML`);
  const objects: { kind?: string }[] = [];
  for (const file of files) {
    for (const document of parseAllDocuments(await readFile(join(folder, file), "utf8"))) {
      const [error] = document.errors;
      if (error !== undefined) throw new Error(`${join(folder, file)}: ${error.message.split("\n")[0]}`);
      const object: unknown = document.toJS();
      if (typeof object === "object" && object !== null) objects.push(object);
    }
  }
  const ofKind = <Kind>(kind: string): readonly Kind[] => objects.filter((object) => object.kind === kind) as Kind[];
  const found = {
    namespaces: ofKind<V1Namespace>("Namespace"),
    services: ofKind<V1Service>("Service"),
    pods: ofKind<V1Pod>("Pod"),
  };
  if (found.pods.length === 0)
    throw new Error(`${folder}: holds no Pod; add one, with a container of image heddle/echo`);
  return found;
};

/** The embedded store: what was put is told to the subscriber at once. */
export const createStore = (): ObjectSource & { readonly put: (events: readonly ObjectEvent[]) => void } => {
  let tell: (events: readonly ObjectEvent[]) => void = () => {};
  const kept: ObjectEvent[] = [];
  return {
    subscribe: (listener) => {
      tell = listener;
      listener(kept);
    },
    put: (events) => {
      kept.push(...events);
      tell(events);
    },
    synced: Promise.resolve(),
    stop: async () => {},
  };
};

const selects = (service: V1Service, pod: V1Pod): boolean =>
  service.metadata?.namespace === pod.metadata?.namespace &&
  Object.entries(service.spec?.selector ?? {}).every(([label, value]) => pod.metadata?.labels?.[label] === value);

/** What the API server, the scheduler and the EndpointSlice controller would make of these, with pods at their addresses. */
export const eventsOf = (objects: LocalObjects, started: ReadonlyMap<string, V1Pod>): readonly ObjectEvent[] => [
  ...objects.services.flatMap((service): ObjectEvent[] => {
    const namespace = service.metadata?.namespace ?? "default";
    const name = service.metadata?.name ?? "";
    const ready = [...started.values()].filter((pod) => selects(service, pod));
    return [
      { kind: "Service", namespace, name, object: service as never },
      {
        kind: "EndpointSlice",
        namespace,
        name: `${name}-local`,
        object: {
          metadata: { name: `${name}-local`, namespace, labels: { "kubernetes.io/service-name": name } },
          addressType: "IPv4",
          ports: (service.spec?.ports ?? []).map(({ name: port, targetPort, port: number }) => ({
            name: port ?? "",
            port: Number(targetPort ?? number),
          })),
          endpoints: ready.map((pod) => ({
            addresses: [pod.status?.podIP ?? ""],
            conditions: { ready: true },
            targetRef: { kind: "Pod", name: pod.metadata?.name ?? "", namespace },
          })),
        } as never,
      },
    ];
  }),
  ...[...started.values()].map(
    (pod): ObjectEvent => ({
      kind: "Pod",
      namespace: pod.metadata?.namespace ?? "default",
      name: pod.metadata?.name ?? "",
      object: pod as unknown as Pod,
    }),
  ),
];
