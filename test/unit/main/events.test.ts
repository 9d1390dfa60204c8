import { test } from "uvu";
import * as assert from "uvu/assert";
import { createEventRecorder, type EventNotice } from "../../../src/main/events.js";
import type { ApiRequest } from "../../../src/watch/api-client.js";

const noticeOf = (name: string, message = "why"): EventNotice => ({
  type: "Warning",
  reason: "SidecarNotInjected",
  message,
  subject: { apiVersion: "apps/v1", kind: "ReplicaSet", namespace: "shop", name, uid: `uid-${name}` },
});

const recorder = (answer: () => Promise<unknown> = async () => ({})) => {
  const calls: (readonly [path: string, request: ApiRequest | undefined])[] = [];
  const failures: string[] = [];
  let at = 0;
  const record = createEventRecorder({
    client: {
      call: (path, request) => {
        calls.push([path, request]);
        return answer();
      },
      lines: () => assert.unreachable() as never,
    },
    instance: "heddled-1",
    failed: ({ message }) => failures.push(message),
    perMinute: 3,
    repeat: 100_000,
    now: () => at,
  });
  return {
    record,
    calls,
    failures,
    pass: (milliseconds: number) => {
      at += milliseconds;
    },
  };
};

test("the same thing is told once, and counted up when it goes on", async () => {
  const { record, calls, pass } = recorder();
  record(noticeOf("web"));
  record(noticeOf("web"));
  assert.is(calls.length, 1);
  pass(200_000);
  record(noticeOf("web"));
  const [[created, first], [patched, second]] = calls as [(typeof calls)[0], (typeof calls)[0]];
  assert.is(created, "/api/v1/namespaces/shop/events");
  const { metadata } = first!.body as { metadata: { name: string } };
  assert.is(patched, `/api/v1/namespaces/shop/events/${metadata.name}`);
  assert.equal(second!.body, { count: 2, lastTimestamp: "1970-01-01T00:03:20Z" });
});

test("a flood is dropped, and passes with the minute", () => {
  const { record, calls, pass } = recorder();
  for (let index = 0; index < 50; index++) record(noticeOf(`web-${index}`));
  assert.is(calls.length, 3);
  pass(60_000);
  record(noticeOf("web-99"));
  assert.is(calls.length, 4);
});

test("a failure is told, and the next one of its kind begins anew; a huge message is cut", async () => {
  const { record, calls, failures } = recorder(async () => {
    throw new Error("gone");
  });
  record(noticeOf("web", "x".repeat(5000)));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(failures, ["cannot write an Event: gone"]);
  record(noticeOf("web", "x".repeat(5000)));
  assert.equal(
    calls.map(([, request]) => request!.method),
    ["POST", "POST"],
  );
  assert.is((calls[0]![1]!.body as { message: string }).message.length, 1000);
  await new Promise((resolve) => setTimeout(resolve, 0));
});

test.run();
