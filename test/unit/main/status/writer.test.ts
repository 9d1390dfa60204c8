import { setTimeout as delay } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ResourceStatus } from "../../../../src/main/status/reporter.js";
import { createStatusWriter } from "../../../../src/main/status/writer.js";
import { ApiError } from "../../../../src/watch/api-client.js";

const status = (name: string, reason: string): ResourceStatus => ({
  kind: "Sidecar",
  namespace: "shop",
  name,
  uid: "1",
  conditions: [{ type: "Reconciled", status: "True", reason, message: "" }],
});

const open = (answer: (path: string, attempt: number) => unknown) => {
  const calls: string[] = [];
  const written: string[] = [];
  const faults: string[] = [];
  const state = { mayWrite: true };
  const writer = createStatusWriter({
    client: {
      call: async (path, request) => {
        const body = request?.body as { readonly status: { readonly conditions: readonly { reason: string }[] } };
        calls.push(`${path.split("/").at(-2)} ${body.status.conditions[0]!.reason}`);
        return answer(path, calls.length);
      },
      lines: () => assert.unreachable() as never,
    },
    mayWrite: () => state.mayWrite,
    written: ({ name }) => written.push(name),
    failed: ({ message }) => faults.push(message),
    perSecond: 200,
  });
  return { writer, calls, written, faults, state };
};

const until = async (condition: () => boolean): Promise<void> => {
  for (const deadline = Date.now() + 5000; !condition(); await delay(5)) assert.ok(Date.now() < deadline, "in time");
};

test("what came last for a resource is written, once", async () => {
  const { writer, calls, written } = open(() => ({}));
  writer.put(status("a", "One"));
  writer.put(status("b", "One"));
  writer.put(status("a", "Two"));
  await until(() => written.length === 2);
  assert.equal(calls, ["a Two", "b One"]);
  await writer.stop();
});

test("a failure is tried again; a resource that is gone or another is not", async () => {
  const { writer, calls, written, faults } = open((path, attempt) => {
    if (path.includes("/gone/")) throw new ApiError(404, "not found");
    if (path.includes("/other/")) throw new ApiError(409, "uid mismatch");
    if (attempt <= 3) throw new Error("connection refused");
  });
  for (const name of ["gone", "other", "a"]) writer.put(status(name, "One"));
  await until(() => written.length === 1);
  assert.equal(calls, ["gone One", "other One", "a One", "a One"]);
  assert.equal(faults, ["cannot write the status of Sidecar/shop/a: connection refused"]);
  await writer.stop();
});

test("a lost lease stops writing at once", async () => {
  const { writer, calls, written, state } = open(() => ({}));
  for (const name of ["a", "b", "c"]) writer.put(status(name, "One"));
  await until(() => written.length === 1);
  state.mayWrite = false;
  writer.put(status("d", "One"));
  await delay(50);
  assert.equal(calls, ["a One"]);
  await writer.stop();
});

test.run();
