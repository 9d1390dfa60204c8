import { execFile, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";

const execute = promisify(execFile);

/** A user that may do nothing but run programs. */
const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
const users = [
  ["root", []],
  ["an ordinary user", nobody],
] as const;

const words = (prefix: readonly string[], args: readonly string[]): readonly [string, ...string[]] =>
  [...prefix, process.execPath, "--import", "tsx", "src/cli/main.ts", ...args] as [string, ...string[]];

const heddle = (prefix: readonly string[], ...args: readonly string[]) => {
  const [program, ...rest] = words(prefix, args);
  return execute(program, rest, { timeout: 90_000, encoding: "utf8", env: { ...process.env, HOME: tmpdir() } });
};

const linesWith = async (pattern: RegExp, ...command: readonly [string, ...string[]]): Promise<readonly string[]> => {
  const [program, ...rest] = command;
  return (await execute(program, rest)).stdout.split("\n").filter((line) => pattern.test(line));
};

/** What a run makes on this machine; other runs may come and go meanwhile. */
const things = async (): Promise<readonly string[]> => [
  ...(await linesWith(/heddle-.*-(frontend|backend)/, "ip", "netns", "list")),
  ...(await linesWith(/heddle-run/, "ip", "-brief", "link")),
  ...(await readdir(tmpdir())).filter((name) => name.startsWith("heddle-run-")),
];

const childrenOf = async (parent: number): Promise<readonly number[]> => {
  const text = await readFile(`/proc/${parent}/task/${parent}/children`, "utf8").catch(() => "");
  const children = text.trim().split(" ").filter(Boolean).map(Number);
  return [...children, ...(await Promise.all(children.map(childrenOf))).flat()];
};

const isAlive = (id: number): boolean => {
  try {
    process.kill(id, 0);
    return true;
  } catch {
    return false;
  }
};

for (const [name, prefix] of users) {
  test(`${name}: a request between two pods that know nothing of the mesh is mutual TLS with the caller's SPIFFE id`, async () => {
    const { stdout } = await heddle(prefix, "run", "--once");
    assert.match(stdout, /^frontend +2\/2 /m);
    assert.match(stdout, /^backend +2\/2 /m);
    assert.match(stdout, /status +200/);
    assert.match(stdout, /caller +spiffe:\/\/cluster\.local\/ns\/default\/sa\/frontend/);
    assert.match(stdout, /^ +frontend +1 requests sent on, 1 TLS handshakes$/m);
    assert.match(stdout, /^ +backend +1 requests sent on, 1 TLS handshakes$/m);
  });

  test(`${name}: the callee is reached by its full name and by its cluster IP too`, async () => {
    for (const host of ["backend.default.svc.cluster.local", "10.96.0.20"]) {
      const { stdout } = await heddle(prefix, "run", "--once", "--url", `http://${host}/by-name`);
      assert.match(stdout, /status +200/);
      assert.match(stdout, /caller +spiffe:\/\/cluster\.local\/ns\/default\/sa\/frontend/);
    }
  });

  test(`${name}: Ctrl-C ends every process and leaves nothing`, async () => {
    const before = await things();
    const [program, ...rest] = words(prefix, ["run"]);
    const run = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    const isUp = new Promise<void>((resolve, reject) => {
      run.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString("utf8");
        if (output.includes("until Ctrl-C")) resolve();
      });
      run.once("exit", () => reject(new Error(`ended by itself:\n${output}`)));
    });
    const ended = new Promise<number | null>((resolve) => run.once("exit", resolve));
    try {
      await isUp;
      const children = await childrenOf(run.pid!);
      assert.ok(children.length >= 4, "two applications and two proxies");
      const made = (await things()).filter((thing) => !before.includes(thing));
      assert.ok(made.length > 0);
      run.kill("SIGINT");
      assert.is(await ended, 0);
      assert.equal(children.filter(isAlive), []);
      const after = await things();
      assert.equal(
        made.filter((thing) => after.includes(thing)),
        [],
      );
    } finally {
      run.kill("SIGKILL");
    }
  });

  test(`${name}: a directory without pods is refused with what to do`, async () => {
    try {
      await heddle(prefix, "run", "--once", "docs");
      assert.unreachable();
    } catch (error) {
      assert.match((error as { stderr: string }).stderr, /docs: holds no \.yaml file; name a directory/);
    }
  });
}

test.run();
