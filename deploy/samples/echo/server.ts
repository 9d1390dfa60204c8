import { createServer as createHttpServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { createServer as createTcpServer, type Socket } from "node:net";
import { hostname } from "node:os";
import { type handleUnaryCall, Server, ServerCredentials } from "@grpc/grpc-js";

/**
 * A sample service: HTTP on 8080, HTTP/2 without TLS on 8081, gRPC health on 9090, TCP echo on 7070, and on 7071 a server
 * that speaks first (HTTP_PORT, HTTP2_PORT, GRPC_PORT, TCP_PORT, GREETING_PORT change them), on every address or on HOST.
 * GET / tells what arrived; /healthz is 200; /call?url=URL fetches and tells what came back, with &count=N a tally of N
 * calls one after another by status and version, &header=NAME:VALUE (may be repeated) goes with each; /delay?ms=N answers
 * late; /seen tells how many other requests came, by their Host;
 * POST /stop?part=http|grpc|tcp closes that listener while the process goes on, as a hung application would.
 * VERSION names it; DELAY (ms) holds every answer to GET / back, and FAIL_RATE (0 to 1) of them are 503.
 * On SIGTERM it finishes what is under way and ends.
 */
const version = process.env["VERSION"] ?? "v1";
const delayMilliseconds = Number(process.env["DELAY"] ?? 0);
const failRate = Number(process.env["FAIL_RATE"] ?? 0);
const seen: Record<string, number> = {};
const portOf = (name: string, fallback: number): number => Number(process.env[name] ?? fallback);
const host = process.env["HOST"];
const limitBytes = 1024 * 1024;

const answer = (response: ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
};

const bodyOf = async (message: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limitBytes) throw new Error(`body is larger than ${limitBytes} bytes: send less`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
};

const report = (message: IncomingMessage, body: string): unknown => ({
  pod: process.env["POD_NAME"] ?? hostname(),
  service: process.env["SERVICE"] ?? "echo",
  version,
  method: message.method,
  path: message.url,
  protocol: message.httpVersion,
  peer: message.socket.remoteAddress,
  headers: message.headers,
  body,
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: unknown;
  readonly text: string;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

const call = (url: string, headers: readonly string[]): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const pairs = headers.map((header) => [header.split(":")[0]!, header.slice(header.indexOf(":") + 1).trim()]);
    const outgoing = request(url, { timeout: 15_000, headers: Object.fromEntries(pairs) }, (response) => {
      bodyOf(response).then(
        (text) => resolve({ status: response.statusCode, headers: response.headers, text }),
        reject,
      );
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`${url} did not answer within 15 s`)));
    outgoing.on("error", reject);
    outgoing.end();
  });

const versionOf = (text: string): string => {
  try {
    const { version: named } = JSON.parse(text) as { readonly version?: string };
    return named === undefined ? "" : ` ${named}`;
  } catch {
    return "";
  }
};

const tally = async (url: string, headers: readonly string[], count: number): Promise<unknown> => {
  const counts: Record<string, number> = {};
  for (let sent = 0; sent < count; sent++) {
    const { status, text } = await call(url, headers);
    const key = `${status}${versionOf(text)}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
};

const grpc = new Server();
const tcp = createTcpServer((socket: Socket) => {
  socket.on("error", () => socket.destroy());
  socket.pipe(socket);
});

/** As mail and database servers do: says who it is and who called before the client has said anything. */
const greeting = createTcpServer((socket: Socket) => {
  socket.on("error", () => socket.destroy());
  socket.end(`${process.env["POD_NAME"] ?? hostname()} greets ${socket.remoteAddress}\n`);
});

const stop = (part: string | null): boolean => {
  if (part === "http") http.close();
  else if (part === "tcp") tcp.close();
  else if (part === "grpc") grpc.forceShutdown();
  else return false;
  return true;
};

const route = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = new URL(message.url ?? "/", "http://echo");
  const body = await bodyOf(message);
  switch (url.pathname) {
    case "/healthz":
      return answer(response, 200, { status: "ok" });
    case "/call": {
      const [target, headers] = [url.searchParams.get("url") ?? "", url.searchParams.getAll("header")];
      const count = Math.min(Number(url.searchParams.get("count") ?? 1), 100_000);
      return answer(response, 200, count > 1 ? await tally(target, headers, count) : await call(target, headers));
    }
    case "/seen":
      return answer(response, 200, seen);
    case "/delay":
      await pause(Math.min(Number(url.searchParams.get("ms") ?? 0), 60_000));
      return answer(response, 200, report(message, body));
    case "/stop":
      if (message.method !== "POST") return answer(response, 405, { error: "/stop: use POST" });
      return stop(url.searchParams.get("part"))
        ? answer(response, 200, { status: "stopped" })
        : answer(response, 400, { error: "part: use http, grpc or tcp" });
    default: {
      const host = message.headers.host ?? "";
      seen[host] = (seen[host] ?? 0) + 1;
      if (delayMilliseconds > 0) await pause(delayMilliseconds);
      return answer(response, Math.random() < failRate ? 503 : 200, report(message, body));
    }
  }
};

const http = createHttpServer((message, response) => {
  route(message, response).catch((error: Error) => answer(response, 502, { error: error.message }));
});

// The compatibility interface of HTTP/2 has what `route` uses.
const http2 = createHttp2Server((message, response) => {
  route(message as unknown as IncomingMessage, response as unknown as ServerResponse).catch((error: Error) =>
    answer(response as unknown as ServerResponse, 502, { error: error.message }),
  );
});

const servingStatus = Buffer.from([0x08, 0x01]);
const check: handleUnaryCall<Buffer, Buffer> = (_call, callback) => callback(null, servingStatus);
grpc.addService(
  {
    check: {
      path: "/grpc.health.v1.Health/Check",
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    },
  },
  { check },
);

http.keepAliveTimeout = 75_000;
http.listen(portOf("HTTP_PORT", 8080), host);
http2.listen(portOf("HTTP2_PORT", 8081), host);
tcp.listen(portOf("TCP_PORT", 7070), host);
greeting.listen(portOf("GREETING_PORT", 7071), host);
grpc.bindAsync(`${host ?? "[::]"}:${portOf("GRPC_PORT", 9090)}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) console.error(`gRPC: ${error.message}`);
});

process.on("SIGTERM", () => {
  // close() ends idle connections and lets requests under way finish.
  http.close();
  http2.close();
  tcp.close();
  greeting.close();
  grpc.tryShutdown(() => {});
  setTimeout(() => process.exit(0), 10_000).unref();
});
