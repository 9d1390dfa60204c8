import { ApiError, createApiClient } from "../../watch/api-client.js";
import { type ClusterClient, explain } from "./client.js";

interface List {
  readonly metadata?: { readonly continue?: string };
  readonly items?: readonly object[];
}

const pageSize = 500;

/**
 * All objects of a collection, as they are, page by page; `what` names them in errors. Where the cluster does not know the
 * collection there are none, unless it is required. Rejects with an Error that says what could not be read and the cure.
 */
export const listObjects = async (
  client: ClusterClient,
  path: string,
  what: string,
  isRequired = true,
): Promise<readonly object[]> => {
  const { call } = createApiClient(client.kubeConfig);
  const found: object[] = [];
  let next = "";
  do {
    const query = new URLSearchParams({ limit: `${pageSize}`, ...(next === "" ? {} : { continue: next }) });
    try {
      const list = (await call(`${path}?${query}`)) as List;
      found.push(...(list.items ?? []));
      next = list.metadata?.continue ?? "";
    } catch (error) {
      if (!isRequired && error instanceof ApiError && error.status === 404) return [];
      throw explain(client, `list of ${what}`, error);
    }
  } while (next !== "");
  return found;
};
