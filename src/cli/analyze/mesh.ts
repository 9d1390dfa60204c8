import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { type MeshConfig, readMeshConfig } from "../../api/meshconfig.js";
import { ApiError, createApiClient } from "../../watch/api-client.js";
import { type ClusterClient, explain } from "../cluster/client.js";

/** Where an installation of the default revision keeps its MeshConfig. */
const configMapPath = "/api/v1/namespaces/istio-system/configmaps/istio";

const readLive = async (client: ClusterClient): Promise<string> => {
  try {
    const map = await createApiClient(client.kubeConfig).call(configMapPath);
    return (map as { readonly data?: { readonly mesh?: string } }).data?.mesh ?? "{}";
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return "{}";
    throw explain(client, "ConfigMap istio-system/istio", error);
  }
};

/** The mesh's settings: of a file, else of the cluster's installation, else the defaults. Rejects with field and cure. */
export const meshConfigFor = async (
  file: string | undefined,
  clusterDomain: string,
  client: ClusterClient | undefined,
): Promise<MeshConfig> => {
  const text =
    file === undefined ? (client === undefined ? "{}" : await readLive(client)) : await readFile(file, "utf8");
  return readMeshConfig(parse(text) ?? {}, clusterDomain);
};
