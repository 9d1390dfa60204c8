import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { V1Deployment } from "@kubernetes/client-node";
import { parseAllDocuments } from "yaml";
import type { ObjectEvent, Pod } from "../../api/kubernetes.js";
import { readDocuments } from "../../watch/documents.js";
import { isCoreKind, readCore } from "../core-shape.js";

/** What the Deployment controller makes, without the random suffixes. */
const podsOf = ({ metadata, spec }: V1Deployment): readonly ObjectEvent[] =>
  Array.from({ length: spec?.replicas ?? 1 }, (_, index): ObjectEvent => {
    const namespace = metadata?.namespace ?? "default";
    const name = `${metadata?.name}-${index}`;
    const { template } = spec ?? {};
    const owner = { apiVersion: "apps/v1", kind: "Deployment", name: metadata?.name ?? "", uid: "", controller: true };
    const object = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...template?.metadata, name, namespace, ownerReferences: [owner] },
      spec: template?.spec,
    };
    return { kind: "Pod", namespace, name, object: object as unknown as Pod };
  });

/** What was made of the file may not be what Kubernetes would take: an Error says where. */
const shaped = (event: ObjectEvent, file: string): ObjectEvent => {
  if (!isCoreKind(event.kind)) return event;
  const read = readCore(event.kind, event.object, "");
  if ("object" in read) return { ...event, object: read.object } as ObjectEvent;
  const { path, message } = read.findings[0]!;
  throw new Error(`${file}: ${event.kind} ${event.namespace}/${event.name}: ${path}: ${message}`);
};

/** The objects of a YAML text that a mesh reads; a Deployment stands for its pods. `file` is for messages. */
export const readText = (text: string, file: string): readonly ObjectEvent[] => {
  const objects = readDocuments(text, file);
  const documents = parseAllDocuments(text, { merge: true });
  const deployments = (Array.isArray(documents) ? documents : [])
    .map((document): unknown => document.toJS({ maxAliasCount: 100 }))
    .filter((object) => (object as { kind?: string } | null)?.kind === "Deployment") as V1Deployment[];
  return [...objects, ...deployments.flatMap(podsOf)].map((event) => shaped(event, file));
};

/** All that a directory's YAML files hold. Throws an Error with file and cure. */
export const readFolder = async (folder: string): Promise<readonly ObjectEvent[]> => {
  const files = (await readdir(folder)).filter((name) => /\.ya?ml$/.test(name)).sort();
  if (files.length === 0) throw new Error(`${folder}: holds no .yaml file; name a directory with Kubernetes YAML`);
  const texts = await Promise.all(
    files.map(async (file) => [await readFile(join(folder, file), "utf8"), file] as const),
  );
  const objects = texts.flatMap(([text, file]) => readText(text, join(folder, file)));
  if (!objects.some(({ kind }) => kind === "Pod"))
    throw new Error(`${folder}: holds no Pod and no Deployment; add one, with a container of image heddle/echo`);
  return objects;
};
