import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { HttpRequest, Identity, Request } from "../../../support/authorization/types.js";
import { signedToken } from "./tokens.js";

export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface Outcome {
  readonly verdict: "allow" | "deny" | "unknown";
  /** What came, for messages. */
  readonly detail: string;
  /** Address and port of this side, which the access log knows the request by. */
  readonly from: string;
}

const deadlineMilliseconds = 20_000;

const httpText = (request: HttpRequest): string =>
  [
    `${request.method} ${request.path} HTTP/1.1`,
    `host: ${request.authority}`,
    ...request.headers.map(([name, value]) => `${name}: ${value}`),
    ...(request.forwardedFor.length === 0 ? [] : [`x-forwarded-for: ${request.forwardedFor.join(", ")}`]),
    ...(request.token === undefined ? [] : [`authorization: Bearer ${signedToken(request.token)}`]),
    `x-external: ${request.external}`,
    "content-length: 0",
    "connection: close",
    "\r\n",
  ].join("\r\n");

/** Tells the listener where the connection was meant to go, as the redirect rules' original destination would. */
const proxyHeader = ({ sourceAddress, destinationAddress, destinationPort }: Request, port: number): string =>
  `PROXY TCP${sourceAddress.includes(":") ? 6 : 4} ${sourceAddress} ${destinationAddress} ${port} ${destinationPort}\r\n`;

const secured = (socket: Socket, request: Request, { certificate, key }: Certificate): Socket =>
  connectTls({
    socket,
    cert: certificate,
    key,
    // The caller is tested here, and by whom it is called is not.
    rejectUnauthorized: false,
    servername: request.serverName ?? "",
    ALPNProtocols: request.protocol === "http" ? ["istio-http/1.1", "istio", "http/1.1"] : ["istio"],
  });

/** What the bytes of the answer say, "" being an end without any. */
const verdictOf = (request: Request, answer: string): Outcome["verdict"] => {
  if (request.protocol === "tcp") return answer === "taken" ? "allow" : answer === "" ? "deny" : "unknown";
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1];
  return status === "200" ? "allow" : status === "403" ? "deny" : "unknown";
};

/** Sends one request on a connection of its own, from its source address and with its caller's certificate. */
export const ask = (request: Request, port: number, certificateOf: (peer: Identity) => Certificate): Promise<Outcome> =>
  new Promise((resolve) => {
    const { sourceAddress, peer } = request;
    const host = sourceAddress.includes(":") ? "::1" : "127.0.0.1";
    const raw = connect({ host, port, localAddress: sourceAddress });
    let answer = "";
    let fault = "";
    let from = "";
    let channel: Socket = raw;
    const end = (): void => {
      clearTimeout(timer);
      raw.destroy();
      const verdict = fault === "" ? verdictOf(request, answer) : "unknown";
      resolve({ verdict, detail: fault === "" ? answer : `${fault} ${answer}`, from });
    };
    const fail = (error: NodeJS.ErrnoException): void => {
      // A proxy that refuses may close while bytes are under way.
      if (request.protocol === "http" || error.code !== "ECONNRESET") fault = error.message;
      end();
    };
    const timer = setTimeout(() => fail(new Error("no answer")), deadlineMilliseconds);
    const talk = (): void => {
      channel.write(request.protocol === "http" ? httpText(request) : "hello\n");
    };
    raw.once("connect", () => {
      from = `${sourceAddress.includes(":") ? `[${sourceAddress}]` : sourceAddress}:${raw.localPort}`;
      raw.write(proxyHeader(request, raw.localPort!));
      if (peer !== undefined) channel = secured(raw, request, certificateOf(peer)).once("secureConnect", talk);
      channel.on("data", (chunk: Buffer) => {
        answer += chunk.toString("latin1");
        if (request.protocol === "tcp") end();
      });
      channel.once("error", fail);
      channel.once("close", end);
      if (peer === undefined) talk();
    });
    raw.once("error", fail);
  });
