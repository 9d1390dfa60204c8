import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ApiClient, ApiError } from "../../../src/watch/api-client.js";
import { listWatch } from "../../../src/watch/list-watch.js";

const object = (name: string, resourceVersion: string) => ({ metadata: { name, namespace: "n", resourceVersion } });

test("pages, resumes, and lists anew after 410 so that deletions are seen", async () => {
  const lists = [
    { metadata: { resourceVersion: "10", continue: "more" }, items: [object("a", "1")] },
    { metadata: { resourceVersion: "10" }, items: [object("b", "2")] },
    { metadata: { resourceVersion: "30" }, items: [object("b", "2"), object("c", "25")] },
  ];
  const watched: string[] = [];
  const told: string[] = [];
  const done = Promise.withResolvers<void>();
  const client: ApiClient = {
    call: async () => lists.shift(),
    lines: async (path, onLine, signal) => {
      watched.push(new URLSearchParams(path.split("?")[1]).get("resourceVersion") ?? "");
      if (watched.length === 1) {
        onLine(JSON.stringify({ type: "MODIFIED", object: object("a", "11") }));
        onLine(JSON.stringify({ type: "BOOKMARK", object: { metadata: { resourceVersion: "20" } } }));
        throw new Error("connection lost");
      }
      if (watched.length === 2) throw new ApiError(410, "too old");
      done.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
  };
  const failures: string[] = [];
  const watch = listWatch({
    client,
    path: "/api/v1/pods",
    changed: (_namespace, name, changed) => told.push(changed === undefined ? `-${name}` : `+${name}`),
    synced: () => told.push("synced"),
    failed: (error) => failures.push(error.message),
  });
  try {
    await done.promise;
    assert.equal(told, ["+a", "+b", "synced", "+a", "+c", "-a"]);
    assert.equal(watched, ["10", "20", "30"]);
    assert.equal(failures, ["connection lost"]);
  } finally {
    await watch.stop();
  }
});

test("a collection that does not exist is empty, is told of once, and appears when it is there", async () => {
  const absent = new ApiError(404, "the server could not find the requested resource");
  const answers: unknown[] = [
    absent,
    absent,
    { metadata: { resourceVersion: "5" }, items: [object("a", "4")] },
    absent,
    { metadata: { resourceVersion: "9" }, items: [] },
  ];
  const told: string[] = [];
  const failures: string[] = [];
  const done = Promise.withResolvers<void>();
  const client: ApiClient = {
    call: async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    },
    lines: async (_path, _onLine, signal) => {
      if (answers.length > 0) throw absent;
      done.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    },
  };
  const watch = listWatch({
    client,
    path: "/apis/networking.istio.io/v1/sidecars",
    changed: (_namespace, name, changed) => told.push(changed === undefined ? `-${name}` : `+${name}`),
    synced: () => told.push("synced"),
    failed: (error) => failures.push(error.message),
  });
  try {
    await done.promise;
    assert.equal(told, ["synced", "+a", "-a"]);
    assert.is(failures.length, 2, "once for each time it went missing");
  } finally {
    await watch.stop();
  }
});

test.run();
