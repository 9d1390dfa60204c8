import { configurationKinds } from "../../api/kinds.js";
import type { ClusterClient } from "../cluster/client.js";
import { listObjects } from "../cluster/list.js";
import { objectOf, type SourceObject } from "./documents.js";

interface ListPath {
  readonly apiVersion: string;
  readonly kind: string;
  readonly path: string;
}

const coreLists: readonly ListPath[] = [
  { apiVersion: "v1", kind: "Namespace", path: "/api/v1/namespaces" },
  { apiVersion: "v1", kind: "Service", path: "/api/v1/services" },
  { apiVersion: "v1", kind: "Pod", path: "/api/v1/pods" },
];

/** Empty where the cluster does not have their definitions. */
const customLists: readonly ListPath[] = [
  ...Object.values(configurationKinds).map(({ group, kind, plural, versions }) => ({
    apiVersion: `${group}/${versions[0]}`,
    kind,
    path: `/apis/${group}/${versions[0]}/${plural}`,
  })),
  {
    apiVersion: "networking.istio.io/v1",
    kind: "Gateway",
    path: "/apis/networking.istio.io/v1/gateways",
  },
];

const readList = async (
  client: ClusterClient,
  { apiVersion, kind, path }: ListPath,
  isRequired: boolean,
): Promise<readonly SourceObject[]> =>
  (await listObjects(client, path, kind, isRequired)).flatMap((item) =>
    objectOf({ apiVersion, kind, ...item }, "default", () => undefined),
  );

/** Everything of a cluster that analysis looks at. Rejects with an Error that says what could not be read and the cure. */
export const readCluster = async (client: ClusterClient): Promise<readonly SourceObject[]> => {
  const read = (lists: readonly ListPath[], isRequired: boolean) =>
    Promise.all(lists.map((list) => readList(client, list, isRequired)));
  return [...(await read(coreLists, true)), ...(await read(customLists, false))].flat();
};
