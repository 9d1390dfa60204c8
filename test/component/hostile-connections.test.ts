import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { TLSSocket } from "node:tls";
import { status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { framed } from "../../src/serve/grpc/framing.js";
import { type GrpcMethod, startGrpcServer } from "../../src/serve/grpc/server.js";
import { frame, frameTypes, openBare } from "./support/bare-http2.js";

const noMethod: GrpcMethod = () => {
  throw new Error("nobody calls it");
};

const start = async (method = noMethod) => {
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  const certificate = await authority.issue({ dnsNames: ["localhost"] }, 3600);
  const server = await startGrpcServer({
    ...{ host: "127.0.0.1", port: 0, certificate, largestRequest: 1 << 20, sessions: { pingMilliseconds: 30 } },
    methods: new Map([["/test/Method", method]]),
  });
  return { server, ca: authority.rootsPem };
};

/** Resolves after this many pings, each of which is answered. */
const pings = async (socket: TLSSocket, count: number): Promise<void> => {
  let bytes = Buffer.alloc(0);
  let seen = 0;
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      const payload = bytes.subarray(9, 9 + bytes.readUIntBE(0, 3));
      if (bytes[3] === frameTypes.ping && bytes[4] === 0) {
        socket.write(frame(frameTypes.ping, 1, payload));
        if (++seen === count) return;
      }
      bytes = bytes.subarray(9 + payload.length);
    }
  }
  assert.unreachable("the server ended a connection that is alive");
};

test("a peer that says goodbye and never closes harms nobody", async () => {
  const { server, ca } = await start();
  const rude = await openBare(server.port, ca);
  rude.resume();
  rude.write(frame(frameTypes.goaway, 0, Buffer.alloc(8)));
  await once(rude, "end");
  const other = await openBare(server.port, ca);
  await pings(other, 5);
  rude.destroy();
  other.destroy();
  await server.stop();
});

test("what comes after a call was refused is neither read nor kept", async () => {
  let messages = 0;
  const closed = Promise.withResolvers<void>();
  const { server, ca } = await start((call) => {
    call.end(status.UNAUTHENTICATED, "who are you?");
    const count = (): number => ++messages;
    return { message: count, halfClosed: count, closed: closed.resolve };
  });
  const session = connectHttp2(`https://localhost:${server.port}`, { ca });
  const stream = session.request(
    { ":method": "POST", ":path": "/test/Method", "content-type": "application/grpc" },
    { endStream: false },
  );
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.is(headers["grpc-status"], String(status.UNAUTHENTICATED));
  stream.resume();
  stream.end(framed(Buffer.from("a request")));
  await closed.promise;
  assert.is(messages, 0);
  session.destroy();
  await server.stop();
});

test.run();
