import { test } from "uvu";
import * as assert from "uvu/assert";
import { keepRootCertificates } from "../../../src/main/root-certificates.ts";
import { type ApiClient, ApiError } from "../../../src/watch/api-client.ts";

const until = async (what: string, holds: () => boolean): Promise<void> => {
  const deadline = Date.now() + 5000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, `not within 5 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

test("a namespace that is going gets nothing more, one of its name that is made at once gets its roots", async () => {
  const posts: string[] = [];
  let isGoing = true;
  const client: ApiClient = {
    call: async (path, { method = "GET" } = {}) => {
      if (method === "GET") return { metadata: { resourceVersion: "1" }, items: [] };
      posts.push(`${method} ${path}`);
      if (isGoing) throw new ApiError(403, 'unable to create new content in namespace "shop": it is being terminated');
      return {};
    },
    lines: (_path, _onLine, signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped")))),
  };
  let uid = "1";
  const roots = keepRootCertificates({
    client,
    namespaces: () => new Map([["shop", { metadata: { uid } }]]),
    bundle: () => "roots",
    failed: (error) => assert.unreachable(error.message),
  });
  try {
    await until("a first try", () => posts.length === 1);
    isGoing = false;
    roots.check();
    await new Promise((resolve) => setTimeout(resolve, 400));
    assert.is(posts.length, 1);
    uid = "2";
    roots.check();
    await until("a second try", () => posts.length === 2);
    assert.equal([...new Set(posts)], ["POST /api/v1/namespaces/shop/configmaps"]);
  } finally {
    await roots.stop();
  }
});

test.run();
