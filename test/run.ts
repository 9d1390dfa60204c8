import { spawn } from "node:child_process";
import { glob } from "node:fs/promises";
import { availableParallelism } from "node:os";

/**
 * Runs each test file in a process of its own and ends with `N passed, N failed`.
 * Arguments: folders or files; unit files run side by side, all others one after another.
 */
interface Outcome {
  readonly file: string;
  readonly passed: number;
  readonly failed: number;
}

const fileDeadlineMilliseconds = 15 * 60_000;
const pipeGraceMilliseconds = 5000;

const countOf = (output: string, label: string): number => {
  const found = [...output.matchAll(new RegExp(`^\\s*${label}:\\s+(\\d+)`, "gm"))].at(-1);
  return found === undefined ? 0 : Number(found[1]);
};

const runFile = (file: string): Promise<Outcome> =>
  new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(process.execPath, ["--import", "tsx", file], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, NO_COLOR: "1", FORCE_COLOR: "0" },
    });
    let output = "";
    const take = (chunk: Buffer): void => {
      output += chunk.toString("utf8");
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const endGroup = (): void => {
      try {
        process.kill(-child.pid!, "SIGKILL");
      } catch {
        // The group is gone already.
      }
    };
    const deadline = setTimeout(() => {
      output += `\nno end after ${fileDeadlineMilliseconds / 1000} s\n`;
      endGroup();
    }, fileDeadlineMilliseconds);
    // What left the group and holds the pipes open must not hold up all other files.
    child.on("exit", () => {
      endGroup();
      setTimeout(() => {
        for (const pipe of [child.stdout, child.stderr]) pipe.destroy();
      }, pipeGraceMilliseconds).unref();
    });
    child.on("close", (code) => {
      clearTimeout(deadline);
      const total = countOf(output, "Total");
      const passed = countOf(output, "Passed");
      const failed = Math.max(total - passed, code === 0 && total > 0 ? 0 : 1);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${failed === 0 ? "ok  " : "FAIL"} ${file} (${passed} passed, ${seconds} s)`);
      if (failed > 0) console.log(output.replace(/^/gm, "    "));
      resolve({ file, passed, failed });
    });
  });

const runAll = async (files: readonly string[], width: number): Promise<readonly Outcome[]> => {
  const outcomes: Outcome[] = [];
  const queue = [...files];
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) outcomes.push(await runFile(file));
  };
  await Promise.all(Array.from({ length: width }, worker));
  return outcomes;
};

const collect = async (target: string): Promise<readonly string[]> =>
  target.endsWith(".test.ts") ? [target] : (await Array.fromAsync(glob(`${target}/**/*.test.ts`))).sort();

const targets = process.argv.slice(2);
const files = (await Promise.all((targets.length > 0 ? targets : ["test/unit"]).map(collect))).flat();
const isUnit = (file: string): boolean => file.startsWith("test/unit");
const outcomes = [
  ...(await runAll(files.filter(isUnit), availableParallelism())),
  ...(await runAll(
    files.filter((file) => !isUnit(file)),
    1,
  )),
];
const passed = outcomes.reduce((sum, outcome) => sum + outcome.passed, 0);
const failed = outcomes.reduce((sum, outcome) => sum + outcome.failed, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
