import { configurationKinds } from "../../api/kinds.js";
import { ApiError, createApiClient } from "../../watch/api-client.js";
import { type ClusterClient, explain } from "../cluster/client.js";
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

interface List {
  readonly metadata?: { readonly continue?: string };
  readonly items?: readonly object[];
}

const pageSize = 500;

const readList = async (
  call: (path: string) => Promise<unknown>,
  { apiVersion, kind, path }: ListPath,
  isRequired: boolean,
): Promise<readonly SourceObject[]> => {
  const found: SourceObject[] = [];
  let next = "";
  do {
    const query = new URLSearchParams({ limit: `${pageSize}`, ...(next === "" ? {} : { continue: next }) });
    let list: List;
    try {
      list = (await call(`${path}?${query}`)) as List;
    } catch (error) {
      if (!isRequired && error instanceof ApiError && error.status === 404) return [];
      throw error;
    }
    for (const item of list.items ?? [])
      found.push(...objectOf({ apiVersion, kind, ...item }, "default", () => undefined));
    next = list.metadata?.continue ?? "";
  } while (next !== "");
  return found;
};

/** Everything of a cluster that analysis looks at. Rejects with an Error that says what could not be read and the cure. */
export const readCluster = async (client: ClusterClient): Promise<readonly SourceObject[]> => {
  const { call } = createApiClient(client.kubeConfig);
  const read = async (lists: readonly ListPath[], isRequired: boolean) =>
    Promise.all(
      lists.map((list) =>
        readList((path) => call(path), list, isRequired).catch((error: unknown) => {
          throw explain(client, `list of ${list.kind}`, error);
        }),
      ),
    );
  return [...(await read(coreLists, true)), ...(await read(customLists, false))].flat();
};
