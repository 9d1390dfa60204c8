import { spawn } from "node:child_process";
import { run, waitFor } from "../../cluster/processes.ts";

export interface KubernetesObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Record<string, string> };
  readonly [field: string]: unknown;
}

export interface Pod extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & { readonly deletionTimestamp?: string };
  readonly spec: {
    readonly containers: readonly { readonly name: string }[];
    readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[];
  };
  readonly status: {
    readonly podIP?: string;
    readonly phase: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** What the sample client prints for one request. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What the sample server says about the request that reached it. */
export interface Report {
  readonly pod: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface LoadResult {
  readonly sent: number;
  readonly failed: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly pods: number;
}

const clientProgram = ["/usr/bin/node", "/app/main.mjs"] as const;

export const isReady = (pod: Pod): boolean =>
  pod.status.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false;

/** Everything the tests ask of a cluster, through kubectl as a user would. */
export const kubectlFor = (kubeconfig: string) => {
  const kubectl = (...commandArguments: readonly string[]): Promise<string> =>
    run("kubectl", ["--kubeconfig", kubeconfig, ...commandArguments], { deadlineSeconds: 300 });

  const apply = (...objects: readonly unknown[]): Promise<string> =>
    run("kubectl", ["--kubeconfig", kubeconfig, "apply", "-f", "-"], {
      input: JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
      deadlineSeconds: 120,
    });

  /** What kubectl says, warnings too, of an object that is only tried. */
  const tryOut = (object: unknown): Promise<string> =>
    run("sh", ["-c", 'exec kubectl --kubeconfig "$0" apply --dry-run=server -f - 2>&1', kubeconfig], {
      input: JSON.stringify(object),
      deadlineSeconds: 60,
    });

  const pods = async (namespace: string, selector: string): Promise<readonly Pod[]> => {
    const listed = await kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json");
    const { items } = JSON.parse(listed) as { readonly items: readonly Pod[] };
    return items.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  };

  const rolledOut = async (namespace: string, deployment: string, seconds = 180): Promise<void> => {
    await kubectl("rollout", "status", `deployment/${deployment}`, "-n", namespace, `--timeout=${seconds}s`).catch(
      async (error: Error) => {
        const events = await kubectl("get", "events", "-n", namespace, "--sort-by=.lastTimestamp").catch(() => "");
        const listed = await kubectl("get", "pods", "-n", namespace, "-o", "wide").catch(() => "");
        throw new Error(`${error.message}\n${listed}\n${events.split("\n").slice(-25).join("\n")}`);
      },
    );
  };

  const fromClient = (namespace: string, target: string, ...words: readonly string[]): Promise<string> =>
    kubectl("exec", "-n", namespace, target, "-c", "client", "--", ...clientProgram, ...words);

  const get = async (namespace: string, target: string, url: string, ...headers: readonly string[]): Promise<Answer> =>
    JSON.parse(await fromClient(namespace, target, "get", url, ...headers)) as Answer;

  /** Sends load from a client pod until the returned function is called, which gives the counts. */
  const startLoad = async (
    namespace: string,
    target: string,
    url: string,
    seconds: number,
    concurrency: number,
  ): Promise<() => Promise<LoadResult>> => {
    const words = ["load", url, String(seconds), String(concurrency)];
    const child = spawn(
      "kubectl",
      ["--kubeconfig", kubeconfig, "exec", "-n", namespace, target, "-c", "client", "--", ...clientProgram, ...words],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let output = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString("utf8");
    });
    const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
    await waitFor("the load runs", () => errors.includes("load: started"), 30);
    return async () => {
      await fromClient(namespace, target, "stop");
      await ended;
      if (output.trim() === "") throw new Error(`the load gave no counts: ${errors}`);
      return JSON.parse(output) as LoadResult;
    };
  };

  return { kubectl, apply, tryOut, pods, rolledOut, fromClient, get, startLoad } as const;
};

export type Kubectl = ReturnType<typeof kubectlFor>;
