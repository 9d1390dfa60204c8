import { connect } from "node:http2";
import { deflateSync } from "node:zlib";
import {
  Client,
  credentials,
  Metadata,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { pino } from "pino";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { startXdsServer, type XdsServer } from "../../src/serve/server.js";

const identity = (value: Buffer): Buffer => value;
const path = "/test.Echo/Say";
const xdsPath = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
const definition: ServiceDefinition = {
  say: {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

const start = async () => {
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  const server = await startXdsServer({
    host: "127.0.0.1",
    port: 0,
    // A token is being reviewed for ever: what is refused meanwhile is refused for its form.
    authenticate: (token) => (token === "" ? Promise.reject(new Error("no token")) : new Promise(() => {})),
    configuration: { attach: () => Promise.reject(new Error("unused")), nacked: () => {} },
    certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600),
    logger: pino({ level: "silent" }),
    services: [
      {
        definition,
        implementation: {
          say: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
            const { request, metadata } = call;
            assert.match(call.getPeer(), /^127\.0\.0\.1:\d+$/);
            if (request.length === 0)
              return answer({ code: status.INVALID_ARGUMENT, details: "empty: say 100 % more ü" });
            const trailer = new Metadata();
            trailer.set("caller", String(metadata.get("authorization")[0]));
            answer(null, request, trailer);
          },
        },
      },
    ],
  });
  return { server, ca: authority.rootsPem };
};

const say = (server: XdsServer, ca: string, request: Buffer, method = path) =>
  new Promise<{ code: status; details: string; value?: Buffer | undefined; caller?: unknown }>((resolve) => {
    const client = new Client(`localhost:${server.port}`, credentials.createSsl(Buffer.from(ca)));
    const metadata = new Metadata();
    metadata.set("authorization", "Bearer t");
    let value: Buffer | undefined;
    const call = client.makeUnaryRequest(method, identity, identity, request, metadata, (_error, reply) => {
      value = reply;
    });
    call.on("status", ({ code, details, metadata: trailers }) => {
      client.close();
      resolve({ code, details, value, caller: trailers.get("caller")[0] });
    });
  });

/** Raw HTTP/2, for what no gRPC client does. */
const raw = (server: XdsServer, ca: string, headers: Record<string, string>, body: Buffer) =>
  new Promise<Record<string, unknown>>((resolve, reject) => {
    const session = connect(`https://localhost:${server.port}`, { ca });
    session.on("error", reject);
    const stream = session.request({
      ":method": "POST",
      ":path": xdsPath,
      "content-type": "application/grpc",
      ...headers,
    });
    let seen: Record<string, unknown> = {};
    stream.on("error", reject);
    stream.on("response", (response) => {
      seen = { ...response };
    });
    stream.on("trailers", (trailers) => {
      seen = { ...seen, ...trailers };
    });
    stream.on("close", () => {
      session.destroy();
      resolve(seen);
    });
    stream.resume();
    stream.end(body);
  });

const framed = (flag: number, length: number, body: Buffer): Buffer => {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, body]);
};

test("a further service answers on the port of xDS, with status, details, metadata and large bodies", async () => {
  const { server, ca } = await start();
  try {
    for (const size of [1, 32_000]) {
      const { code, value, caller } = await say(server, ca, Buffer.alloc(size, 7));
      assert.is(code, status.OK);
      assert.is(value?.length, size);
      assert.is(caller, "Bearer t");
    }
    const refused = await say(server, ca, Buffer.alloc(0));
    assert.is(refused.code, status.INVALID_ARGUMENT);
    assert.is(refused.details, "empty: say 100 % more ü");
    assert.is((await say(server, ca, Buffer.alloc(1), "/test.Echo/Sing")).code, status.UNIMPLEMENTED);
    const large = await say(server, ca, Buffer.alloc(9 << 20));
    assert.is(large.code, status.RESOURCE_EXHAUSTED);
  } finally {
    await server.stop();
  }
});

test("what is no gRPC is refused as gRPC says, and the server goes on", async () => {
  const { server, ca } = await start();
  const empty = framed(0, 0, Buffer.alloc(0));
  const authorization = "Bearer t";
  const cases: readonly (readonly [Record<string, string>, Buffer, Record<string, unknown>])[] = [
    [{ ":method": "PUT" }, empty, { ":status": 405 }],
    [{ "content-type": "text/plain" }, empty, { ":status": 415 }],
    [{ "grpc-encoding": "gzip" }, empty, { "grpc-status": String(status.UNIMPLEMENTED) }],
    [{ authorization }, framed(1, 3, deflateSync("x")), { "grpc-status": String(status.UNIMPLEMENTED) }],
    [{ authorization }, framed(0, 2 ** 31, Buffer.alloc(0)), { "grpc-status": String(status.RESOURCE_EXHAUSTED) }],
    [{}, empty, { "grpc-status": String(status.UNAUTHENTICATED) }],
  ];
  try {
    for (const [headers, body, expected] of cases) {
      const seen = await raw(server, ca, headers, body);
      for (const [name, value] of Object.entries(expected))
        assert.is(seen[name], value, `${JSON.stringify(headers)}: ${JSON.stringify(seen)}`);
    }
    assert.is((await say(server, ca, Buffer.from("still there"))).code, status.OK);
  } finally {
    await server.stop();
  }
});

test("a service that streams is refused at the start", async () => {
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  try {
    await startXdsServer({
      host: "127.0.0.1",
      port: 0,
      authenticate: () => Promise.reject(new Error("unused")),
      configuration: { attach: () => Promise.reject(new Error("unused")), nacked: () => {} },
      certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600),
      logger: pino({ level: "silent" }),
      services: [{ definition: { say: { ...definition["say"]!, responseStream: true } }, implementation: {} }],
    });
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /\/test\.Echo\/Say streams/);
  }
});

test.run();
