import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { pino } from "pino";
import { defaultMeshConfig } from "../../api/meshconfig.js";
import { createLoopback, explicitOutboundPort } from "./loopback.js";
import { localMachine, projectFolder, templateFile } from "./machine.js";
import { type LocalMesh, startLocalMesh } from "./mesh.js";
import { createNetwork } from "./network.js";
import { readFolder } from "./objects.js";
import { callerOf, report, statusLines } from "./report.js";

interface RunOptions {
  readonly once: boolean;
  readonly envoy: string;
  readonly from: string;
  readonly url: string;
}

type Step = () => Promise<void>;

/** Steps that undo what was done, the last one first; what is done too late is undone at once. */
const createCleanup = () => {
  const steps: Step[] = [];
  let isOver = false;
  const perform = (step: Step): Promise<void> =>
    step().catch((error: Error) => console.error(`cleaning up: ${error.message}`));
  return {
    add: async (step: Step): Promise<void> => {
      if (isOver) await perform(step);
      else steps.push(step);
    },
    run: async (): Promise<void> => {
      isOver = true;
      for (const step of steps.reverse()) await perform(step);
    },
    isOver: () => isOver,
  };
};

const runMesh = async (
  folder: string,
  options: RunOptions,
  cleanup: ReturnType<typeof createCleanup>,
): Promise<LocalMesh | undefined> => {
  const objects = await readFolder(folder);
  const isRoot = process.getuid?.() === 0;
  const network = await (isRoot ? createNetwork() : createLoopback());
  await cleanup.add(network.close);
  const work = await mkdtemp(join(tmpdir(), "heddle-run-"));
  await cleanup.add(() => rm(work, { recursive: true, force: true }));
  await chmod(work, 0o755);
  if (cleanup.isOver()) return undefined;
  const mesh = await startLocalMesh({
    mesh: defaultMeshConfig,
    network,
    folder: work,
    machine: localMachine(options.envoy),
    templateFile,
    logger: pino({ level: process.env["HEDDLE_LOG"] ?? "warn" }, pino.destination(2)),
  });
  await cleanup.add(mesh.close);
  if (cleanup.isOver()) return undefined;
  const { xds, admission } = mesh.plane;
  console.log(`control plane  xDS ${network.gateway}:${xds.port}, webhook ${network.gateway}:${admission.port}`);
  if (!isRoot)
    console.log(
      `network        without root: pods on loopback addresses, applications call their proxies, port ${explicitOutboundPort}, by HTTP_PROXY`,
    );
  await mesh.apply(objects);
  return mesh;
};

const runCommand = async (folder: string, options: RunOptions): Promise<void> => {
  const cleanup = createCleanup();
  const interrupted = Promise.withResolvers<undefined>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.resolve(undefined));
  // Whoever read the output has gone: there is nobody to run for.
  process.stdout.on("error", () => interrupted.resolve(undefined));
  try {
    const running = runMesh(folder, options, cleanup);
    running.catch(() => {});
    const mesh = await Promise.race([running, interrupted.promise]);
    if (mesh === undefined) return;
    const pods = [...mesh.pods.values()];
    for (const line of statusLines(mesh.statuses())) console.log(line);
    const caller = callerOf(pods, options.from);
    await report({ pods, caller, url: options.url });
    if (options.once) return;
    console.log(`\nThe mesh goes on until Ctrl-C. Ask again with\n  ${caller.network.curl(options.url)}`);
    await interrupted.promise;
  } finally {
    await cleanup.run();
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
