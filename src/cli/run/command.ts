import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { pino } from "pino";
import { defaultMeshConfig } from "../../api/meshconfig.js";
import { localMachine, projectFolder, templateFile } from "./machine.js";
import { startLocalMesh } from "./mesh.js";
import { createNetwork } from "./network.js";
import { readFolder } from "./objects.js";
import { report } from "./report.js";

interface RunOptions {
  readonly once: boolean;
  readonly envoy: string;
  readonly from: string;
  readonly url: string;
}

const runMesh = async (folder: string, options: RunOptions, undo: (() => Promise<void>)[]): Promise<void> => {
  const objects = await readFolder(folder);
  const work = await mkdtemp(join(tmpdir(), "heddle-run-"));
  undo.push(() => rm(work, { recursive: true, force: true }));
  await chmod(work, 0o755);
  const network = await createNetwork();
  undo.push(network.close);
  const mesh = await startLocalMesh({
    mesh: defaultMeshConfig,
    network,
    folder: work,
    machine: localMachine(options.envoy),
    templateFile,
    logger: pino({ level: process.env["HEDDLE_LOG"] ?? "warn" }, pino.destination(2)),
  });
  undo.push(mesh.close);
  console.log(
    `control plane   xDS ${network.gateway}:${mesh.plane.xds.port}, webhook ${network.gateway}:${mesh.plane.admission.port}`,
  );
  await mesh.apply(objects);
  await report({ pods: [...mesh.pods.values()], from: options.from, url: options.url });
};

const runCommand = async (folder: string, options: RunOptions): Promise<void> => {
  if (process.getuid?.() !== 0)
    throw new Error("run: network namespaces and redirect rules need root; run it with sudo");
  const undo: (() => Promise<void>)[] = [];
  const interrupted = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.resolve());
  try {
    await Promise.race([runMesh(folder, options, undo), interrupted.promise]);
    if (!options.once) {
      console.log("\nThe mesh goes on until Ctrl-C.");
      await interrupted.promise;
    }
  } finally {
    for (const step of undo.reverse())
      await step().catch((error: Error) => console.error(`cleaning up: ${error.message}`));
  }
};

export const registerRun = (program: Command): void => {
  program
    .command("run")
    .description("run a mesh on this machine, without a cluster, from a directory of Kubernetes YAML")
    .argument("[directory]", "Namespaces, Services and Pods", join(projectFolder, "deploy/samples/hello"))
    .option("--once", "send one request, print what happened, and end", false)
    .option("--envoy <path>", "the Envoy binary", join(projectFolder, ".cache/tools/bin/envoy"))
    .option("--from <pod>", "the pod whose application sends the request", "frontend")
    .option("--url <url>", "what it asks for", "http://backend/hello")
    .action(runCommand);
};
