import { Agent, request } from "node:http";
import { connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { Client, credentials } from "@grpc/grpc-js";

/**
 * The sample client. `wait` idles until SIGTERM; `get URL [NAME=VALUE...]` prints status, headers and body as JSON;
 * `tcp HOST:PORT TEXT` prints what comes back; `grpc HOST:PORT` asks the gRPC health service and prints its status; `certificate HOST:PORT` prints what the
 * proxy there presents; `load URL SECONDS CONCURRENCY` sends requests one after another on each
 * connection until the time is over or `stop` is called beside it, and prints counts as JSON: anything but a 2xx is a
 * failure.
 */
/** An abstract Unix socket: it needs no writable folder and ends with its process. */
const controlSocket = "\0heddle-load";

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string;
}

const send = (url: string, options: { readonly agent?: Agent; readonly headers?: Record<string, string> }) =>
  new Promise<Answer>((resolve, reject) => {
    const outgoing = request(url, { ...options, timeout: 15_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString("utf8"),
        }),
      );
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer within 15 s")));
    outgoing.on("error", reject);
    outgoing.end();
  });

const get = async (url: string, pairs: readonly string[]): Promise<void> => {
  const headers = Object.fromEntries(pairs.map((pair) => [pair.split("=")[0]!, pair.slice(pair.indexOf("=") + 1)]));
  console.log(JSON.stringify(await send(url, { headers })));
};

const tcp = (target: string, text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const at = target.lastIndexOf(":");
    const socket = connect({ host: target.slice(0, at), port: Number(target.slice(at + 1)), timeout: 10_000 });
    socket.on("connect", () => socket.write(text));
    socket.on("timeout", () => socket.destroy(new Error(`${target} did not answer within 10 s`)));
    socket.on("error", reject);
    socket.on("data", (data: Buffer) => {
      console.log(data.toString("utf8"));
      socket.end();
      resolve();
    });
  });

const grpc = (target: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const channel = new Client(target, credentials.createInsecure());
    const identity = (value: Buffer): Buffer => value;
    const deadline = { deadline: Date.now() + 10_000 };
    channel.makeUnaryRequest(
      "/grpc.health.v1.Health/Check",
      identity,
      identity,
      Buffer.alloc(0),
      deadline,
      (error, reply) => {
        channel.close();
        if (error !== null) return reject(error);
        console.log(reply?.[1] === 1 ? "SERVING" : "NOT_SERVING");
        resolve();
      },
    );
  });

/** The certificate that a proxy of the mesh presents; it is shown before the caller's own is asked for. */
const certificate = (target: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const colon = target.lastIndexOf(":");
    const socket = connectTls({
      host: target.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(target.slice(colon + 1)),
      ALPNProtocols: ["istio"],
      rejectUnauthorized: false,
      timeout: 10_000,
    });
    socket.once("timeout", () => socket.destroy(new Error("no handshake within 10 s")));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      const { fingerprint256, subjectaltname, issuer } = socket.getPeerCertificate();
      console.log(JSON.stringify({ fingerprint256, subjectaltname, issuer }));
      socket.off("error", reject).on("error", () => {});
      socket.destroy();
      resolve();
    });
  });

const load = async (url: string, seconds: number, concurrency: number): Promise<void> => {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const deadline = performance.now() + seconds * 1000;
  const failures: Record<string, number> = {};
  const pods: Record<string, number> = {};
  let sent = 0;
  let failed = 0;
  let stopped = false;
  const control = createServer((socket) => {
    stopped = true;
    socket.end();
  }).listen(controlSocket);
  const fail = (reason: string): void => {
    failed += 1;
    failures[reason] = (failures[reason] ?? 0) + 1;
  };
  const worker = async (): Promise<void> => {
    while (!stopped && performance.now() < deadline) {
      sent += 1;
      try {
        const answer = await send(url, { agent });
        if (answer.status < 200 || answer.status > 299) {
          fail(`${answer.status} ${answer.headers["server"] ?? ""} ${answer.body.slice(0, 120)}`.trim());
          continue;
        }
        const { pod } = JSON.parse(answer.body) as { readonly pod?: string };
        if (pod !== undefined) pods[pod] = (pods[pod] ?? 0) + 1;
      } catch (error) {
        fail(error instanceof Error ? error.message : String(error));
      }
    }
  };
  console.error("load: started");
  await Promise.all(Array.from({ length: concurrency }, worker));
  agent.destroy();
  control.close();
  console.log(JSON.stringify({ sent, failed, failures, pods: Object.keys(pods).length }));
};

const stop = (): Promise<void> =>
  new Promise((resolve, reject) => {
    connect(controlSocket)
      .on("error", reject)
      .on("close", () => resolve())
      .resume();
  });

const wait = (): void => {
  const timer = setInterval(() => {}, 60_000);
  process.on("SIGTERM", () => clearInterval(timer));
};

const [verb, first, ...rest] = process.argv.slice(2);
if (verb === "get" && first !== undefined) await get(first, rest);
else if (verb === "tcp" && first !== undefined) await tcp(first, rest[0] ?? "ping");
else if (verb === "grpc" && first !== undefined) await grpc(first);
else if (verb === "certificate" && first !== undefined) await certificate(first);
else if (verb === "load" && first !== undefined) await load(first, Number(rest[0] ?? 10), Number(rest[1] ?? 4));
else if (verb === "stop") await stop();
else if (verb === "wait" || verb === undefined) wait();
else {
  console.error(
    "use: wait | get URL [NAME=VALUE...] | tcp HOST:PORT TEXT | grpc HOST:PORT | certificate HOST:PORT | load URL SECONDS CONCURRENCY | stop",
  );
  process.exitCode = 2;
}
