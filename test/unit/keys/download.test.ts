import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type DownloadError, download } from "../../../src/keys/download.js";

const anywhere = { timeoutMilliseconds: 20_000, isForbidden: () => false };

const serving = async <Result>(answer: RequestListener, use: (url: string) => Promise<Result>): Promise<Result> => {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
};

const faultOf = (promise: Promise<unknown>): Promise<DownloadError> =>
  promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: DownloadError) => error,
  );

test("the body comes with its tag and how long it is fresh; nothing of the caller goes with the request", async () => {
  let headers: object = {};
  const got = await serving(
    (request, response) => {
      headers = request.headers;
      response.writeHead(200, { etag: '"1"', "cache-control": "public, max-age=600" }).end("{}");
    },
    (url) => download(url, anywhere),
  );
  assert.equal(got, { isUnchanged: false, body: "{}", etag: '"1"', maxAgeSeconds: 600 });
  assert.equal(Object.keys(headers).sort(), ["accept", "connection", "host"]);
});

test("no-store counts as fresh for no time", async () => {
  const got = await serving(
    (_, response) => response.writeHead(200, { "cache-control": "no-store, max-age=600" }).end("{}"),
    (url) => download(url, anywhere),
  );
  assert.is(got.maxAgeSeconds, 0);
});

const bad: readonly (readonly [what: string, answer: RequestListener, words: RegExp])[] = [
  ["an error", (_, response) => response.writeHead(500).end("secret"), /does not answer with status 200/],
  ["unchanged, unasked", (_, response) => response.writeHead(304).end(), /sends on|status 200/],
  ["a redirect", (_, response) => response.writeHead(301, { location: "http://secret/" }).end(), /sends on/],
  [
    "a cut",
    (_, response) => void response.writeHead(200).write("x", () => response.destroy()),
    /no answer could|cut off/,
  ],
  ["no HTTP", (request) => request.socket.end("secret\r\n\r\n"), /no answer could be had/],
  [
    "a body without end",
    (_, response) => {
      const more = (): void => void response.write("x".repeat(65_536), (error) => (error ? undefined : more()));
      response.writeHead(200);
      more();
    },
    /longer than a mebibyte/,
  ],
];

for (const [what, answer, words] of bad)
  test(`${what} is told without a word of it`, async () => {
    const { message } = await faultOf(serving(answer, (url) => download(url, anywhere)));
    assert.match(message, words);
    assert.not.match(message, "secret");
  });

test("headers and body together have their time", async () => {
  const trickle: RequestListener = (_, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write("x"), 10);
    response.on("close", () => clearInterval(timer));
  };
  const { message } = await faultOf(
    serving(trickle, (url) => download(url, { ...anywhere, timeoutMilliseconds: 200 })),
  );
  assert.match(message, /not there after 0\.2s/);
});

test("what a name stands for is looked at when it is connected to", async () => {
  let requests = 0;
  await serving(
    (_, response) => {
      requests += 1;
      response.end("{}");
    },
    async (url) => {
      const named = url.replace("127.0.0.1", "localhost");
      const isForbidden = (address: string): boolean => /^(127\.|::1$)/.test(address);
      assert.match((await faultOf(download(named, { ...anywhere, isForbidden }))).message, /stands for an address/);
      assert.match((await faultOf(download(named, { timeoutMilliseconds: 1000 }))).message, /is no address that keys/);
      assert.match((await faultOf(download(url, { timeoutMilliseconds: 1000 }))).message, /is no address that keys/);
    },
  );
  assert.is(requests, 0);
});

test.run();
