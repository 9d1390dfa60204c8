import { ApiException, KubeConfig, KubernetesObjectApi } from "@kubernetes/client-node";
import type { Command } from "commander";
import { ApiError } from "../../watch/api-client.js";

export interface ClusterOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** What the command line does to a cluster, and which one that is. */
export interface ClusterClient {
  readonly objects: KubernetesObjectApi;
  readonly kubeConfig: KubeConfig;
  readonly context: string;
  /** The context's own. */
  readonly namespace: string;
  readonly server: string;
}

export const clusterOptions = (command: Command): Command =>
  command
    .option("--kubeconfig <path>", "kubeconfig file (default: KUBECONFIG, then ~/.kube/config)")
    .option("--context <name>", "context of the kubeconfig (default: its current one)");

/** Throws an Error with a cure if there is no cluster to talk to. Nothing is sent yet. */
export const connect = (options: ClusterOptions): ClusterClient => {
  const config = new KubeConfig();
  try {
    if (options.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(options.kubeconfig);
  } catch (error) {
    throw new Error(
      `the kubeconfig cannot be used: ${(error as Error).message}; give another with --kubeconfig or KUBECONFIG`,
    );
  }
  if (options.context !== undefined) {
    const names = config.getContexts().map(({ name }) => name);
    if (!names.includes(options.context))
      throw new Error(`--context ${options.context}: the kubeconfig has only: ${names.join(", ") || "no context"}`);
    config.setCurrentContext(options.context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new Error("the kubeconfig has no current context; choose one with --context, or set KUBECONFIG");
  return {
    objects: KubernetesObjectApi.makeApiClient(config),
    kubeConfig: config,
    context: config.getCurrentContext(),
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? "default",
    server: cluster.server,
  };
};

/** The API server's own words, without the client's wrapping. */
const messageOf = (exception: ApiException<unknown>): string => {
  let { body } = exception;
  if (typeof body === "string") {
    try {
      body = JSON.parse(body) as unknown;
    } catch {
      return String(body).trim().slice(0, 300);
    }
  }
  const message = (body as { readonly message?: unknown } | null)?.message;
  return typeof message === "string" ? message : `HTTP ${exception.code}`;
};

const codeOf = (error: unknown): string | undefined => {
  const { code, cause, errno } = error as {
    readonly code?: unknown;
    readonly cause?: unknown;
    readonly errno?: unknown;
  };
  if (typeof code === "string") return code;
  if (typeof errno === "string") return errno;
  return cause === undefined ? undefined : codeOf(cause);
};

export const isNotFound = (error: unknown): boolean => error instanceof ApiException && error.code === 404;

/** An Error that says what failed and what to do next; `what` is such as "Deployment heddled". */
export const explain = (client: ClusterClient, what: string, error: unknown): Error => {
  if (error instanceof ApiException || error instanceof ApiError) {
    const message = error instanceof ApiError ? error.message : messageOf(error);
    const cures: Readonly<Record<number, string>> = {
      401: `the cluster does not accept the credentials of context ${client.context}; log in again or choose another context with --context`,
      403: "use credentials of a cluster administrator",
      409: "if the fields named are the mesh's to decide, take them over with --force-conflicts",
    };
    const cure = cures[error instanceof ApiError ? error.status : error.code];
    return new Error(`${what}: ${message}${cure === undefined ? "" : `; ${cure}`}`, { cause: error });
  }
  const code = codeOf(error);
  if (code !== undefined && /^(E[A-Z]+|UND_.*|CERT_.*|UNABLE_.*|DEPTH_.*|SELF_.*)$/.test(code))
    return new Error(
      `the cluster at ${client.server} (context ${client.context}) does not answer: ${code}; check that it runs and that the context is the one you mean`,
      { cause: error },
    );
  return new Error(`${what}: ${(error as Error).message}`, { cause: error });
};
