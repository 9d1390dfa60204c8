import type { ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { KubeConfig } from "@kubernetes/client-node";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../../src/identity/authority.js";
import { createMemorySecrets } from "../../../src/identity/memory-secrets.js";
import { createApiClient } from "../../../src/watch/api-client.js";

const authority = await openAuthority(createMemorySecrets(), "cluster.local");
const { certificateChainPem: cert, privateKeyPem: key } = await authority.issue({ dnsNames: ["localhost"] }, 3600);

const withServer = async (
  answer: (response: ServerResponse) => void,
  use: (client: ReturnType<typeof createApiClient>) => Promise<void>,
): Promise<void> => {
  const server = createServer({ cert, key }, (_request, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromClusterAndUser(
    {
      name: "c",
      server: `https://localhost:${(server.address() as AddressInfo).port}`,
      caData: Buffer.from(authority.rootsPem).toString("base64"),
      skipTLSVerify: false,
    },
    { name: "u" },
  );
  try {
    await use(createApiClient(kubeConfig));
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
};

const rejection = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => assert.unreachable("it did not fail") as never,
    (error: Error) => error,
  );

test("a watch whose connection breaks rejects, and ends nothing else", () =>
  withServer(
    (response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write('{"type":"BOOKMARK"}\n', () => setTimeout(() => response.socket?.destroy(), 20));
    },
    async (client) => {
      const lines: string[] = [];
      const error = await rejection(client.lines("/", (line) => lines.push(line), new AbortController().signal));
      assert.match(error.message, /aborted|hang up/);
      assert.equal(lines, ['{"type":"BOOKMARK"}']);
    },
  ));

test("a watch that is stopped rejects", () =>
  withServer(
    (response) => {
      response.writeHead(200);
      response.write("{}\n");
    },
    async (client) => {
      const abort = new AbortController();
      await rejection(client.lines("/", () => abort.abort(), abort.signal));
    },
  ));

test("a listener that throws ends its watch", () =>
  withServer(
    (response) => {
      response.writeHead(200);
      response.write("not JSON\n");
    },
    async (client) => {
      const signal = new AbortController().signal;
      const error = await rejection(client.lines("/", (line) => void JSON.parse(line), signal));
      assert.match(error.message, /JSON/);
    },
  ));

test.run();
