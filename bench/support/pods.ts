import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { ObjectEvent } from "../../src/api/kubernetes.js";
import { defaultMeshConfig } from "../../src/api/meshconfig.js";
import { templateFile } from "../../src/cli/run/machine.js";
import { type LocalMesh, startLocalMesh } from "../../src/cli/run/mesh.js";
import { createNetwork, type PodNetwork, run } from "../../src/cli/run/network.js";
import type { Machine } from "../../src/cli/run/pod.js";

/** Pods in network namespaces of their own, with the sidecars and the redirection that injection gives them. */
export interface Pods {
  /** Of a pod in the namespace `default`. */
  readonly network: (pod: string) => PodNetwork;
  readonly close: () => Promise<void>;
}

const application = { uid: 65534, gid: 65534 };

/** Runs a program inside the pod, as an application's user, to its end; gives its output. */
export const runInside = (network: PodNetwork, ...command: readonly string[]): Promise<string> => {
  const [program = "", ...rest] = network.wrap(command, application);
  return run(program, ...rest);
};

/** New connections by the ten thousand run out of ports while closed ones are remembered. */
const forgetClosedConnections = (network: PodNetwork): Promise<string> => {
  const [program = "", ...rest] = network.wrap(["sh", "-c", "echo 64 > /proc/sys/net/ipv4/tcp_max_tw_buckets"]);
  return run(program, ...rest);
};

/** Needs root. Resolves when all pods are ready; on failure nothing is left behind. */
export const startPods = async (objects: readonly ObjectEvent[], machine: Machine): Promise<Pods> => {
  const undo: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse())
      await step().catch((error: Error) => console.error(`cleaning up: ${error.message}`));
  };
  try {
    const folder = await mkdtemp(join(tmpdir(), "heddle-bench-"));
    undo.push(() => rm(folder, { recursive: true, force: true }));
    await chmod(folder, 0o755);
    const network = await createNetwork();
    undo.push(network.close);
    const logger = pino({ level: "warn" }, pino.destination(2));
    const mesh: LocalMesh = await startLocalMesh({
      mesh: defaultMeshConfig,
      network,
      folder,
      machine,
      templateFile,
      logger,
    });
    undo.push(mesh.close);
    await mesh.apply(objects);
    for (const pod of mesh.pods.values()) await forgetClosedConnections(pod.network);
    return { network: (pod) => mesh.pods.get(`default/${pod}`)!.network, close };
  } catch (error) {
    await close();
    throw error;
  }
};
