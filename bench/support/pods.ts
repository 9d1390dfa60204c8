import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { defaultMeshConfig } from "../../src/api/meshconfig.js";
import { localMachine, projectFolder, templateFile } from "../../src/cli/run/machine.js";
import { startLocalMesh } from "../../src/cli/run/mesh.js";
import { createNetwork, type PodNetwork, run } from "../../src/cli/run/network.js";
import { readText } from "../../src/cli/run/objects.js";

/** Pods in network namespaces of their own, with the sidecars and the redirection that injection gives them. */
export interface Pods {
  /** By name, in the namespace default. */
  readonly network: (pod: string) => PodNetwork;
  readonly close: () => Promise<void>;
}

export interface PodsOptions {
  readonly yaml: string;
  /** A program and its first arguments by image, besides those of the project. */
  readonly images: ReadonlyMap<string, readonly string[]>;
}

export const envoyBinary = join(projectFolder, ".cache/tools/bin/envoy");

const nobody = { uid: 65534, gid: 65534 };

/** Runs a program inside the pod, as an application's user, to its end; gives its output. */
export const runInside = (network: PodNetwork, ...command: readonly string[]): Promise<string> => {
  const [program = "", ...words] = network.wrap(command, nobody);
  return run(program, ...words);
};

/** Needs root. On failure nothing is left behind. */
export const startPods = async ({ yaml, images }: PodsOptions): Promise<Pods> => {
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
    const machine = localMachine(envoyBinary);
    const mesh = await startLocalMesh({
      mesh: defaultMeshConfig,
      network,
      folder,
      machine: { ...machine, images: new Map([...machine.images, ...images]) },
      templateFile,
      logger: pino({ level: "warn" }, pino.destination(2)),
    });
    undo.push(mesh.close);
    await mesh.apply(readText(yaml, "bench.yaml"));
    return { network: (pod) => mesh.pods.get(`default/${pod}`)!.network, close };
  } catch (error) {
    await close();
    throw error;
  }
};
