import { spawn } from "node:child_process";

/** Runs everything, once the API server that some component tests need is built: unit and component tests, then those on a real Kubernetes; ends with one `N passed, N failed`. */
const stages: readonly (readonly string[])[] = [
  ["test/cluster/build.ts"],
  ["test/run.ts", "test/unit", "test/component"],
  ["test/e2e/run.ts"],
];

const run = (stage: readonly string[]): Promise<{ readonly passed: number; readonly failed: number }> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ["--import", "tsx", ...stage], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
      process.stdout.write(chunk);
    });
    child.on("close", (code) => {
      const counts = [...output.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1);
      const failed = Number(counts?.[2] ?? 0);
      resolve({ passed: Number(counts?.[1] ?? 0), failed: code === 0 ? failed : Math.max(failed, 1) });
    });
  });

let passed = 0;
let failed = 0;
for (const stage of stages) {
  const counts = await run(stage);
  passed += counts.passed;
  failed += counts.failed;
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
