import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";

const execute = promisify(execFile);

const heddle = (...args: readonly string[]) =>
  execute(process.execPath, ["--import", "tsx", "src/cli/main.ts", ...args], { timeout: 90_000, encoding: "utf8" });

const left = async (): Promise<string> => {
  const { stdout: namespaces } = await execute("ip", ["netns", "list"]);
  return namespaces
    .split("\n")
    .filter((line) => /heddle-.*-(frontend|backend)/.test(line))
    .join();
};

test("a request between two pods that know nothing of the mesh is mutual TLS with the caller's SPIFFE id", async () => {
  const { stdout } = await heddle("run", "--once");
  assert.match(stdout, /^frontend +2\/2 /m);
  assert.match(stdout, /^backend +2\/2 /m);
  assert.match(stdout, /status +200/);
  assert.match(stdout, /caller +spiffe:\/\/cluster\.local\/ns\/default\/sa\/frontend/);
  assert.match(stdout, /^ +frontend +1 requests sent on, 1 TLS handshakes$/m);
  assert.match(stdout, /^ +backend +1 requests sent on, 1 TLS handshakes$/m);
  assert.is(await left(), "", "network namespaces are removed");
});

test("the callee is reached by its full name and by its cluster IP too", async () => {
  for (const host of ["backend.default.svc.cluster.local", "10.96.0.20"]) {
    const { stdout } = await heddle("run", "--once", "--url", `http://${host}/by-name`);
    assert.match(stdout, /status +200/);
    assert.match(stdout, /caller +spiffe:\/\/cluster\.local\/ns\/default\/sa\/frontend/);
  }
});

test("a directory without pods is refused with what to do", async () => {
  try {
    await heddle("run", "--once", "docs");
    assert.unreachable();
  } catch (error) {
    assert.match((error as { stderr: string }).stderr, /docs: holds no \.yaml file; name a directory/);
    assert.is(await left(), "");
  }
});

test.run();
