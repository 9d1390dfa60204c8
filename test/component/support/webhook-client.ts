import { Agent, request } from "node:https";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** What is still referenced: resident memory also holds garbage, and so says nothing of a leak. */
export const liveBytes = (): number => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly fingerprint: string;
}

/** One POST to a webhook server on 127.0.0.1, on a connection of its own unless an agent is given. */
export const post = (
  port: number,
  body: string,
  { path = "/inject", contentType = "application/json", ca = "", agent = new Agent({ maxCachedSessions: 0 }) } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        path,
        method: "POST",
        agent,
        ca,
        servername: "localhost",
        headers: { "content-type": contentType, "content-length": Buffer.byteLength(body) },
      },
      (response) => {
        const socket = response.socket as import("node:tls").TLSSocket;
        const fingerprint = socket.getPeerCertificate().fingerprint256;
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), fingerprint }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
