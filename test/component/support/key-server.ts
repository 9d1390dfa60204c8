import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { selfSigned } from "./tls-server.js";

export interface KeyServer {
  /** `https://ADDRESS:PORT`, of an address that is not the machine's own loopback. */
  readonly url: string;
  readonly certificatePem: string;
  /** Of a path; a function answers anew each time, "hang" never. */
  readonly serve: (path: string, answer: KeyAnswer) => void;
  /** How often a path was asked for. */
  readonly asked: (path: string) => number;
  readonly close: () => Promise<void>;
}

export type KeyAnswer =
  | "hang"
  | { readonly status?: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> };

const outsideAddress = (): string => {
  const address = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal)?.address;
  if (address === undefined) throw new Error("this machine has no IPv4 address but loopback");
  return address;
};

/** An HTTPS server of an issuer's keys, whose answers the test changes. */
export const startKeyServer = async (): Promise<KeyServer> => {
  const address = outsideAddress();
  const { certificate, key } = await selfSigned(address);
  const answers = new Map<string, KeyAnswer>();
  const counts = new Map<string, number>();
  const server: Server = createServer({ cert: certificate, key }, (request, response) => {
    const path = request.url ?? "";
    counts.set(path, (counts.get(path) ?? 0) + 1);
    const answer = answers.get(path) ?? { status: 404 };
    if (answer === "hang") return;
    const { status = 200, body = "", headers = {} } = answer;
    const isKnown = headers["etag"] !== undefined && request.headers["if-none-match"] === headers["etag"];
    response.writeHead(isKnown ? 304 : status, headers).end(isKnown ? "" : body);
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    url: `https://${address}:${(server.address() as AddressInfo).port}`,
    certificatePem: certificate,
    serve: (path, answer) => void answers.set(path, answer),
    asked: (path) => counts.get(path) ?? 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
