import {
  createSecureServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { status } from "@grpc/grpc-js";
import type { Dropped } from "../../limits/connections.js";
import { limitNewcomers, type NewcomerLimits } from "../../limits/newcomers.js";
import { serverProtocols } from "../../limits/tls.js";
import { createPacer } from "../pace.js";
import { createMessageReader, FramingFault } from "./framing.js";
import { defaultSessionLimits, type SessionLimits, superviseSession } from "./sessions.js";

/** One call. All of it is at once, in the order of calling; nothing after `end` counts. */
export interface GrpcCall {
  readonly headers: IncomingHttpHeaders;
  readonly peer: string;
  /** Whether the peer reads messages compressed by `deflate`. */
  readonly acceptsDeflate: boolean;
  /** Takes buffers that together are whole frames, and keeps them until they are sent. */
  readonly write: (frames: readonly Buffer[]) => void;
  readonly end: (code: status, details?: string, trailers?: OutgoingHttpHeaders) => void;
  readonly pause: () => void;
  readonly resume: () => void;
  /** It is known who calls: until it is told so, the call is read no further than 64 kB, and the connection has an end. */
  readonly authenticated: () => void;
  /** Refuses messages of the peer that are larger than this. */
  readonly limitMessages: (bytes: number) => void;
}

export interface GrpcReceiver {
  readonly message: (message: Buffer) => void;
  /** The peer sends no more. */
  readonly halfClosed: () => void;
  /** The call is over, whoever ended it; told once. */
  readonly closed: () => void;
}

/** Answers the calls of one method. */
export type GrpcMethod = (call: GrpcCall) => GrpcReceiver;

export interface ServingCertificate {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
}

export interface GrpcServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly certificate: ServingCertificate;
  /** By path, `/package.Service/Method`. */
  readonly methods: ReadonlyMap<string, GrpcMethod>;
  readonly largestRequest: number;
  readonly sessions?: Partial<SessionLimits>;
  /** Of connections on which no call has been authenticated. */
  readonly newcomers?: Partial<NewcomerLimits>;
  readonly dropped?: Dropped;
}

export interface GrpcServer {
  readonly port: number;
  /** Takes effect for connections made from now on. */
  readonly setCertificate: (certificate: ServingCertificate) => void;
  /**
   * Ends all calls with UNAVAILABLE, which sends proxies elsewhere, each at a random moment within `spreadMilliseconds`
   * (0 without), and all connections.
   */
  readonly stop: (spreadMilliseconds?: number) => Promise<void>;
}

const defaultNewcomerLimits: NewcomerLimits = {
  perAddress: 128,
  total: 2048,
  milliseconds: 20_000,
  graceMilliseconds: 5000,
  bytes: 256 * 1024,
};
/** What is read of a call before it is known who calls. */
const strangerBytes = 64 * 1024;
/** Bytes of a request's headers: a token and little more. */
const largestHeaders = 32 * 1024;
/** Streams that a peer may reset at once, and in each second after that. */
const resets = { burst: 100, perSecond: 10 };
const handshakeMilliseconds = 10_000;
const stopMilliseconds = 2000;
const contentType = "application/grpc";

const tlsOf = ({ certificateChainPem, privateKeyPem }: ServingCertificate) => ({
  cert: certificateChainPem,
  key: privateKeyPem,
  ...serverProtocols,
});

/** gRPC's percent-encoding of a status message. */
const encodeDetails = (details: string): string =>
  [...Buffer.from(details)]
    .map((byte) =>
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");

const trailersOf = (code: status, details = "", more: OutgoingHttpHeaders = {}): OutgoingHttpHeaders => ({
  ...more,
  "grpc-status": String(code),
  ...(details === "" ? {} : { "grpc-message": encodeDetails(details) }),
});

const acceptsDeflate = (headers: IncomingHttpHeaders): boolean => {
  const accepted = headers["grpc-accept-encoding"];
  return typeof accepted === "string" && accepted.split(",").some((encoding) => encoding.trim() === "deflate");
};

/**
 * A connection keeps a buffer of the size of its largest single write, and one of its largest read: small pieces, and a
 * small window for requests, keep a thousand connections small.
 */
const pieceBytes = 16_000;
const requestWindowBytes = 16_384;

const cut = (buffer: Buffer): readonly Buffer[] =>
  buffer.length <= pieceBytes
    ? [buffer]
    : Array.from({ length: Math.ceil(buffer.length / pieceBytes) }, (_, at) =>
        buffer.subarray(at * pieceBytes, (at + 1) * pieceBytes),
      );

interface EndingCall extends GrpcCall {
  readonly isEnding: () => boolean;
  readonly largestMessage: () => number;
  /** Counts what was read; a stranger's stream is read no further than its budget. */
  readonly received: (bytes: number) => void;
}

const createCall = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  largestRequest: number,
  known: (peer: string) => void,
): EndingCall => {
  const { remoteAddress, remotePort } = stream.session?.socket ?? {};
  const peer = `${remoteAddress}:${remotePort}`;
  let largestMessage = largestRequest;
  let strange = 0;
  let isStranger = true;
  let isHeld = false;
  const deflates = acceptsDeflate(headers);
  let ending: OutgoingHttpHeaders | undefined;
  const base = { ":status": 200, "content-type": contentType };
  const respond = (): void => {
    if (stream.headersSent) return;
    stream.respond(
      { ...base, "grpc-accept-encoding": "identity", ...(deflates ? { "grpc-encoding": "deflate" } : {}) },
      {
        waitForTrailers: true,
      },
    );
    stream.once("wantTrailers", () => stream.sendTrailers(ending ?? trailersOf(status.OK)));
  };
  const pieces: Buffer[] = [];
  let isWriting = false;
  const writeNext = (error?: Error | null): void => {
    if (error) pieces.length = 0;
    const piece = pieces.shift();
    isWriting = piece !== undefined;
    if (piece !== undefined) stream.write(piece, writeNext);
    else if (ending !== undefined) stream.end();
  };
  return {
    headers,
    peer,
    acceptsDeflate: deflates,
    write: (frames) => {
      if (ending !== undefined || stream.closed || stream.destroyed) return;
      respond();
      pieces.push(...frames.flatMap(cut));
      if (!isWriting) writeNext();
    },
    end: (code, details, more) => {
      if (ending !== undefined || stream.closed || stream.destroyed) return;
      ending = trailersOf(code, details, more);
      // What the peer may still send is of no use, nor the part of a message that is here already.
      stream.removeAllListeners("data");
      stream.resume();
      if (isWriting) return;
      if (stream.headersSent) stream.end();
      else stream.respond({ ...base, ...ending }, { endStream: true });
    },
    isEnding: () => ending !== undefined,
    pause: () => stream.pause(),
    resume: () => {
      if (!isHeld) stream.resume();
    },
    authenticated: () => {
      isStranger = false;
      known(peer);
      if (isHeld) stream.resume();
      isHeld = false;
    },
    limitMessages: (bytes) => {
      largestMessage = bytes;
    },
    largestMessage: () => largestMessage,
    received: (bytes) => {
      if (!isStranger || isHeld || ending !== undefined) return;
      strange += bytes;
      if (strange < strangerBytes) return;
      isHeld = true;
      stream.pause();
    },
  };
};

const serveStream = (
  options: GrpcServerOptions,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  known: (peer: string) => void,
): GrpcCall | undefined => {
  // A reset by the peer is an end like others; `close` tells of it.
  stream.on("error", () => undefined);
  const refuseHttp = (code: number): undefined => {
    stream.respond({ ":status": code }, { endStream: true });
    stream.resume();
  };
  // The setting alone binds who has acknowledged it.
  const size = Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + String(value).length, 0);
  if (size > largestHeaders) return refuseHttp(431);
  if (headers[":method"] !== "POST") return refuseHttp(405);
  if (!(headers["content-type"] ?? "").startsWith(contentType)) return refuseHttp(415);
  const call = createCall(stream, headers, options.largestRequest, known);
  const method = options.methods.get(headers[":path"] ?? "");
  const refuse = (code: status, details: string): undefined => {
    call.end(code, details);
  };
  if (method === undefined) return refuse(status.UNIMPLEMENTED, `there is no method ${headers[":path"]}`);
  const encoding = headers["grpc-encoding"] ?? "identity";
  if (encoding !== "identity") return refuse(status.UNIMPLEMENTED, `grpc-encoding ${encoding}; send identity`);
  const receiver = method(call);
  const read = createMessageReader(call.largestMessage, receiver.message);
  const take = (chunk: Buffer): void => {
    call.received(chunk.length);
    try {
      read(chunk);
    } catch (error) {
      const isFraming = error instanceof FramingFault;
      const code = isFraming
        ? error.isTooLarge
          ? status.RESOURCE_EXHAUSTED
          : status.UNIMPLEMENTED
        : status.INVALID_ARGUMENT;
      call.end(code, isFraming ? error.message : "a request could not be decoded");
    }
  };
  if (!call.isEnding()) stream.on("data", take);
  stream.once("end", () => {
    if (!call.isEnding()) receiver.halfClosed();
  });
  stream.once("close", receiver.closed);
  return call;
};

/** Serves gRPC over TLS; listens when it resolves. Rejects if the address is taken or the certificate does not fit. */
export const startGrpcServer = async (options: GrpcServerOptions): Promise<GrpcServer> => {
  const server = createSecureServer({
    ...tlsOf(options.certificate),
    handshakeTimeout: handshakeMilliseconds,
    settings: {
      maxConcurrentStreams: 16,
      enablePush: false,
      initialWindowSize: requestWindowBytes,
      maxHeaderListSize: largestHeaders,
    },
    maxHeaderListPairs: 64,
    maxSettings: 16,
    streamResetBurst: resets.burst,
    streamResetRate: resets.perSecond,
  });
  const newcomers = limitNewcomers({ ...defaultNewcomerLimits, ...options.newcomers }, options.dropped);
  const sessions = new Set<ServerHttp2Session>();
  const calls = new Map<ServerHttp2Stream, GrpcCall>();
  const sockets = new Set<Socket>();
  server.on("tlsClientError", () => undefined);
  server.on("sessionError", () => undefined);
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    session.on("error", () => undefined);
    superviseSession(session, { ...defaultSessionLimits, ...options.sessions });
  });
  server.on("stream", (stream, headers) => {
    const call = serveStream(options, stream, headers, newcomers.known);
    if (call === undefined) return;
    calls.set(stream, call);
    stream.once("close", () => calls.delete(stream));
  });

  // A handshake costs most of what a proxy costs: a few of them in each turn of the event loop.
  const pace = createPacer({ turnMilliseconds: 10, most: 16 });
  const gate = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => {
    socket.on("error", () => undefined);
    if (!newcomers.enter(socket)) return;
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    pace(() => {
      if (!socket.destroyed) server.emit("connection", socket);
    });
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error): void =>
      reject(new Error(`cannot listen on ${options.host}:${options.port}: ${error.message}`));
    gate.once("error", fail);
    gate.listen({ host: options.host, port: options.port, backlog: 4096 }, () => {
      gate.off("error", fail);
      resolve();
    });
  });

  return {
    port: (gate.address() as AddressInfo).port,
    setCertificate: (certificate) => server.setSecureContext(tlsOf(certificate)),
    stop: async (spreadMilliseconds = 0) => {
      const closed = new Promise<void>((resolve) => gate.close(() => resolve()));
      // Connections are told first (GOAWAY): a call that follows one that is ended here takes another connection.
      for (const session of sessions) session.close();
      for (const call of calls.values())
        setTimeout(
          () => call.end(status.UNAVAILABLE, "the control plane is stopping"),
          Math.random() * spreadMilliseconds,
        );
      const impatience = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, spreadMilliseconds + stopMilliseconds);
      await closed;
      clearTimeout(impatience);
    },
  };
};
