import { spawn } from "node:child_process";
import { openCluster } from "../cluster/cluster.ts";

/**
 * Runs the end-to-end tests on one cluster that is brought up first and taken down last, also when a test file is cut
 * off at its deadline. Arguments: test files, all of this folder without any.
 */
const cluster = await openCluster();
const targets = process.argv.length > 2 ? process.argv.slice(2) : ["test/e2e"];
const child = spawn(process.execPath, ["--import", "tsx", "test/run.ts", ...targets], {
  stdio: "inherit",
  env: { ...process.env, KUBECONFIG: cluster.kubeconfig, HEDDLE_KEEP_CLUSTER: "1" },
});
const passOn = (signal: NodeJS.Signals): boolean => child.kill(signal);
process.on("SIGINT", passOn);
process.on("SIGTERM", passOn);
const code = await new Promise<number>((resolve) => child.on("close", (status) => resolve(status ?? 1)));
await cluster.close();
process.exitCode = code;
