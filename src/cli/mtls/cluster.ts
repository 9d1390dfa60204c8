import { configurationKinds, definitionOf } from "../../api/kinds.js";
import type { ObjectEvent } from "../../api/kubernetes.js";
import type { MeshConfig } from "../../api/meshconfig.js";
import { readConfigObject } from "../../api/validate.js";
import { applyEvents } from "../../model/apply.js";
import { emptySnapshot, type Snapshot } from "../../model/snapshot.js";
import type { SourceObject } from "../analyze/documents.js";
import { readFiles } from "../analyze/files.js";
import type { ClusterClient } from "../cluster/client.js";
import { listObjects } from "../cluster/list.js";

const coreKinds = { Pod: "pods", Service: "services", Node: "nodes" } as const;
const configKinds = ["PeerAuthentication", "DestinationRule"] as const;
type ConfigKind = (typeof configKinds)[number];

interface Named {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
}

const eventOf = (kind: ObjectEvent["kind"], object: object): ObjectEvent => {
  const { name = "", namespace = "" } = (object as Named).metadata ?? {};
  return { kind, namespace, name, object } as ObjectEvent;
};

/** What of a cluster decides modes and tells who calls, as heddled reads it: an invalid rule is in nobody's way. */
export const readMesh = async (client: ClusterClient, mesh: MeshConfig): Promise<Snapshot> => {
  const core = Object.entries(coreKinds).map(async ([kind, plural]) =>
    (await listObjects(client, `/api/v1/${plural}`, kind)).map((object) => eventOf(kind as "Pod", object)),
  );
  const rules = configKinds.map(async (kind: ConfigKind) => {
    const { group, versions, plural } = configurationKinds[kind];
    const objects = await listObjects(client, `/apis/${group}/${versions[0]}/${plural}`, kind, false);
    return objects
      .flatMap((value) => readConfigObject(definitionOf(kind), value).object ?? [])
      .map((object) => eventOf(kind, object));
  });
  const events = await Promise.all([...core, ...rules]);
  return applyEvents(emptySnapshot(mesh), events.flat()).snapshot;
};

const isPolicy = ({ kind, apiVersion }: SourceObject): boolean =>
  kind === "PeerAuthentication" && apiVersion.startsWith(`${configurationKinds.PeerAuthentication.group}/`);

/** The cluster once the PeerAuthentications of the files were applied. Rejects with an Error of place, field and cure. */
export const withPolicies = async (
  snapshot: Snapshot,
  paths: readonly string[],
  namespace: string,
): Promise<Snapshot> => {
  const { objects, unreadable } = await readFiles(paths, namespace);
  for (const { location, message } of unreadable) throw new Error(`${location.file}:${location.line}: ${message}`);
  const events = objects.filter(isPolicy).map((source) => {
    const { object, findings } = readConfigObject(definitionOf("PeerAuthentication"), {
      ...source.value,
      metadata: { ...(source.value["metadata"] as object), namespace: source.namespace },
    });
    const [wrong] = findings.filter(({ severity }) => severity === "error");
    if (object === undefined || wrong !== undefined) {
      const place = source.locate(wrong?.path ?? "");
      throw new Error(
        `${place?.file}:${place?.line}: ${wrong?.path ?? "the object"}: ${wrong?.message ?? "is invalid"}`,
      );
    }
    // What is replaced keeps its age, which decides between several.
    const before = snapshot.peerAuthentications
      .get(source.namespace)
      ?.policies.find(({ metadata }) => metadata?.name === source.name);
    const creationTimestamp = before?.metadata?.creationTimestamp ?? new Date().toISOString();
    const placed = { ...object, metadata: { ...object.metadata, creationTimestamp } };
    return eventOf("PeerAuthentication", placed);
  });
  if (events.length === 0)
    throw new Error(`${paths.join(", ")}: no PeerAuthentication is in there; name the file of one`);
  return applyEvents(snapshot, events).snapshot;
};
