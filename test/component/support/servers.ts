import { type IncomingHttpHeaders, type IncomingMessage, request, Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Server as NetServer, type Socket } from "node:net";

export interface Running {
  readonly port: number;
  readonly connections: () => number;
  readonly requests: () => number;
  readonly stop: () => Promise<void>;
}

/** Listens on a free port of loopback, or at a path; ends with all its connections. */
export const listen = async (server: NetServer, path?: string): Promise<Running> => {
  const sockets = new Set<Socket>();
  let connections = 0;
  let requests = 0;
  server.on("connection", (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
  });
  server.on("request", () => {
    requests += 1;
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(path, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "string" ? 0 : (address as AddressInfo).port,
    connections: () => connections,
    requests: () => requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
};

/** Answers with its name. */
export const startNamed = (
  name: string,
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.end(name),
): Promise<Running> => listen(new Server({ keepAliveTimeout: 60_000 }, answer));

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** One request on a connection of its own. */
export const get = (port: number, headers: Readonly<Record<string, string>> = {}, path = "/"): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, path, headers, agent: false }, (response) => {
      let body = "";
      response.on("data", (chunk: Buffer) => (body += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      response.on("error", reject);
    });
    sent.setTimeout(10_000, () => sent.destroy(new Error("no answer in 10 s")));
    sent.on("error", reject);
    sent.end();
  });

/** Bodies of so many requests, one after another. */
export const getMany = async (
  count: number,
  port: number,
  headersOf: (index: number) => Readonly<Record<string, string>> = () => ({}),
): Promise<readonly string[]> => {
  const bodies: string[] = [];
  for (let index = 0; index < count; index++) {
    const { status, body } = await get(port, headersOf(index));
    bodies.push(status === 200 ? body : String(status));
  }
  return bodies;
};

/** Sends text over TCP, ends, and gives all that comes back. */
export const exchange = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let received = "";
    const socket = connect({ host: "127.0.0.1", port }, () => socket.end(text));
    socket.setTimeout(10_000, () => socket.destroy(new Error("no answer in 10 s")));
    socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
    socket.on("close", () => resolve(received));
    socket.on("error", reject);
  });
