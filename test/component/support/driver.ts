/**
 * Sends requests from inside of a pod: one JSON object a line on standard input, one a line back on standard output.
 * It runs for as long as its standard input is open, without any loader: nothing but types to be stripped.
 */
import { createSocket } from "node:dgram";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

export interface DriverRequest {
  /** `http`, `https`, `grpc`, `tcp`, `tls` or `udp`. */
  readonly url: string;
  readonly protocol: "http1" | "http2";
  readonly method: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string;
  readonly count: number;
  readonly concurrency: number;
  /** A connection for each request, instead of as few as serve. */
  readonly newConnections: boolean;
  readonly timeoutMilliseconds: number;
  /** After each answer; a stream of requests then lasts, however quick the answers are. */
  readonly pauseMilliseconds?: number;
  /** Of tcp and tls: how the bodies' bytes are written as text. */
  readonly encoding?: "latin1";
  /** Of tcp and tls: the answer is what comes until the other side closes. */
  readonly untilClose?: boolean;
  /** Of the application's own TLS. */
  readonly tls?: {
    readonly serverName?: string;
    readonly alpn?: readonly string[];
    readonly ca?: string;
    readonly certificate?: string;
    readonly key?: string;
  };
}

export interface DriverResponse {
  /** Of HTTP, of gRPC its `grpc-status`; 0 and an `error` if there was no answer. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly trailers: Readonly<Record<string, string | string[] | undefined>>;
  /** What came back, of TCP at least as much as was sent, or until the other side closed. */
  readonly body: string;
  /** Why there was no answer, or no whole one: `ECONNRESET`, `ECONNREFUSED`, `timeout`, or the message. */
  readonly error?: string;
  readonly milliseconds: number;
}

type Answer = Omit<DriverResponse, "milliseconds">;

const none: Answer = { status: 0, headers: {}, trailers: {}, body: "" };
const codeOf = (error: Error): string => (error as NodeJS.ErrnoException).code ?? error.message;
const failed = (error: Error): Answer => ({ ...none, error: codeOf(error) });

const secureOptions = (input: DriverRequest) => ({
  rejectUnauthorized: input.tls?.ca !== undefined,
  // Node refuses the name that it was given by the URL; here the certificate's chain alone counts.
  checkServerIdentity: () => undefined,
  ...(input.tls?.ca === undefined ? {} : { ca: input.tls.ca }),
  ...(input.tls?.serverName === undefined ? {} : { servername: input.tls.serverName }),
  ...(input.tls?.certificate === undefined ? {} : { cert: input.tls.certificate, key: input.tls.key ?? "" }),
});

const bare = (host: string): string => host.replace(/^\[|\]$/g, "");

const overHttp1 = (input: DriverRequest, agent: Agent | SecureAgent): Promise<Answer> =>
  new Promise((resolve) => {
    const isSecure = input.url.startsWith("https:");
    const ask = isSecure ? secureRequest : request;
    const outgoing = ask(
      input.url,
      {
        method: input.method,
        headers: input.headers as Record<string, string | string[]>,
        agent,
        ...(isSecure ? secureOptions(input) : {}),
      },
      (response) => {
        const chunks: Buffer[] = [];
        const finish = (error?: Error): void =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            trailers: response.trailers,
            body: Buffer.concat(chunks).toString("utf8"),
            ...(error === undefined ? {} : { error: codeOf(error) }),
          });
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", finish);
        response.on("end", () => finish());
      },
    );
    outgoing.setTimeout(input.timeoutMilliseconds, () => outgoing.destroy(new Error("timeout")));
    outgoing.on("error", (error) => resolve(failed(error)));
    outgoing.end(input.body === "" ? undefined : input.body);
  });

const plainHeaders = (headers: IncomingHttpHeaders): Answer["headers"] =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => typeof name === "string"));

const grpcFrame = (message: Buffer): Buffer => {
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
};

const overHttp2 = (input: DriverRequest, session: ClientHttp2Session): Promise<Answer> =>
  new Promise((resolve) => {
    const url = new URL(input.url.replace(/^grpc:/, "http:"));
    const isGrpc = input.url.startsWith("grpc:");
    const { host: authority = url.host, ...own } = input.headers;
    const endStream = !isGrpc && input.body === "";
    const headersOut = {
      ":method": isGrpc ? "POST" : input.method,
      ":path": isGrpc && url.pathname === "/" ? "/grpc.health.v1.Health/Check" : url.pathname + url.search,
      ":authority": authority as string,
      ...(isGrpc ? { "content-type": "application/grpc", te: "trailers" } : {}),
      ...(own as Record<string, string | string[]>),
    };
    const stream = session.request(headersOut, { endStream });
    const chunks: Buffer[] = [];
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const answer = (): Answer => {
      const status = Number(headers[":status"] ?? 0);
      const grpcStatus = trailers["grpc-status"] ?? headers["grpc-status"];
      return {
        status: isGrpc && grpcStatus !== undefined ? Number(grpcStatus) : status,
        headers: plainHeaders(headers),
        trailers: plainHeaders(trailers),
        body: Buffer.concat(chunks).toString("utf8"),
      };
    };
    stream.setTimeout(input.timeoutMilliseconds, () => stream.destroy(new Error("timeout")));
    stream.on("response", (received) => {
      headers = received;
    });
    stream.on("trailers", (received) => {
      trailers = received;
    });
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", (error) => resolve({ ...answer(), error: codeOf(error) }));
    stream.on("end", () => resolve(answer()));
    stream.on("close", () => resolve({ ...answer(), error: "closed" }));
    if (!endStream) stream.end(isGrpc ? grpcFrame(Buffer.from(input.body)) : input.body);
  });

/** What is sent is a whole message: the answer is complete when as much came back, or anything if nothing was sent. */
const overSocket = (input: DriverRequest): Promise<Answer> =>
  new Promise((resolve) => {
    const url = new URL(input.url.replace(/^(tcp|tls):/, "http:"));
    const isTls = input.url.startsWith("tls:");
    const target = { host: bare(url.hostname), port: Number(url.port || 80) };
    const socket: Socket = isTls
      ? connectTls({ ...target, ...secureOptions(input), ALPNProtocols: [...(input.tls?.alpn ?? [])] })
      : connect(target);
    const chunks: Buffer[] = [];
    const finish = (error?: Error): void => {
      resolve({
        ...none,
        headers: isTls ? { alpn: String((socket as { alpnProtocol?: unknown }).alpnProtocol ?? "") } : {},
        body: Buffer.concat(chunks).toString(input.encoding ?? "utf8"),
        ...(error === undefined ? {} : { error: codeOf(error) }),
      });
      socket.destroy();
    };
    socket.setTimeout(input.timeoutMilliseconds, () => finish(new Error("timeout")));
    socket.on(isTls ? "secureConnect" : "connect", () => {
      if (input.body !== "") socket.write(input.body, input.encoding ?? "utf8");
    });
    socket.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      if (input.untilClose !== true && Buffer.concat(chunks).length >= Math.max(1, Buffer.byteLength(input.body)))
        finish();
    });
    socket.on("error", finish);
    socket.on("close", () => finish(chunks.length === 0 ? new Error("closed") : undefined));
  });

const overUdp = (input: DriverRequest): Promise<Answer> =>
  new Promise((resolve) => {
    const url = new URL(input.url.replace(/^udp:/, "http:"));
    const host = bare(url.hostname);
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    const timer = setTimeout(() => finish({ ...none, error: "timeout" }), input.timeoutMilliseconds);
    const finish = (answer: Answer): void => {
      clearTimeout(timer);
      clearInterval(again);
      socket.close();
      resolve(answer);
    };
    socket.on("error", (error) => finish(failed(error)));
    socket.on("message", (message) => finish({ ...none, body: message.toString("utf8") }));
    // As resolvers do: a datagram may be lost, and is while the server starts.
    const send = (): void => socket.send(input.body, Number(url.port), host);
    const again = setInterval(send, 250);
    send();
  });

/** One way of sending for all requests of a line, and how to let go of its connections. */
const senderOf = (input: DriverRequest): { readonly send: () => Promise<Answer>; readonly close: () => void } => {
  if (/^(tcp|tls):/.test(input.url)) return { send: () => overSocket(input), close: () => {} };
  if (input.url.startsWith("udp:")) return { send: () => overUdp(input), close: () => {} };
  if (input.protocol === "http2" || input.url.startsWith("grpc:")) {
    const open = (): Promise<ClientHttp2Session> =>
      new Promise((resolve, reject) => {
        const target = new URL(input.url.replace(/^grpc:/, "http:"));
        const session = connectHttp2(target.origin, input.url.startsWith("https:") ? secureOptions(input) : {});
        session.once("connect", () => resolve(session));
        session.on("error", reject);
      });
    let shared: Promise<ClientHttp2Session> | undefined;
    return {
      send: async () => {
        try {
          if (input.newConnections) {
            const session = await open();
            return await overHttp2(input, session).finally(() => session.destroy());
          }
          shared ??= open();
          const session = await shared;
          if (session.closed || session.destroyed) shared = open();
          return await overHttp2(input, await shared);
        } catch (error) {
          return failed(error as Error);
        }
      },
      close: () => void shared?.then((session) => session.destroy()).catch(() => {}),
    };
  }
  const keepAlive = { keepAlive: !input.newConnections, maxSockets: input.concurrency };
  const agent = input.url.startsWith("https:") ? new SecureAgent(keepAlive) : new Agent(keepAlive);
  return { send: () => overHttp1(input, agent), close: () => agent.destroy() };
};

const perform = async (input: DriverRequest): Promise<readonly DriverResponse[]> => {
  const { send, close } = senderOf(input);
  const responses: DriverResponse[] = [];
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent < input.count) {
      const index = sent++;
      const began = performance.now();
      const answer = await send();
      responses[index] = { ...answer, milliseconds: performance.now() - began };
      if (input.pauseMilliseconds !== undefined) await delay(input.pauseMilliseconds);
    }
  };
  await Promise.all(Array.from({ length: Math.min(input.concurrency, input.count) }, worker));
  close();
  return responses;
};

if (import.meta.main) {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const { id, ...input } = JSON.parse(line) as DriverRequest & { readonly id: number };
    perform(input).then(
      (responses) => process.stdout.write(`${JSON.stringify({ id, responses })}\n`),
      (error: Error) => process.stdout.write(`${JSON.stringify({ id, error: error.message })}\n`),
    );
  });
  lines.on("close", () => process.exit(0));
}
