import type { Server } from "node:https";
import type { Socket } from "node:net";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import { prepareValidation } from "../api/validate.js";
import { type ConnectionLimits, type Dropped, limitConnections } from "../limits/connections.js";
import { serverProtocols } from "../limits/tls.js";
import { boundBodies } from "./bodies.js";
import { type Verdict, writeReview } from "./envelope.js";
import { type PodAdmission, readReview } from "./review.js";
import { type Analyse, answerValidation } from "./validation.js";

/** PEM of the server's certificate chain, leaf first, and of its key. */
export interface ServingCertificate {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
}

/** `parameters` are the key-value pairs of the path /inject/key1/value1/…, as in Istio's injectionURL. */
export type AdmitPod = (admission: PodAdmission, parameters: ReadonlyMap<string, string>) => Verdict | Promise<Verdict>;

export interface AdmissionServerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly certificate: ServingCertificate;
  readonly admit: AdmitPod;
  /** What the rest of the configuration says about a resource that POST /validate is asked about. */
  readonly analyse?: Analyse;
  /** Told of each answer; `seconds` from the decoded body to the verdict. */
  readonly observe?: (outcome: "allowed" | "refused" | "failed" | "invalid", seconds: number) => void;
  readonly failed?: (error: Error) => void;
  readonly connections?: ConnectionLimits;
  /** How long a client may take over its headers, and over a whole request. */
  readonly patience?: { readonly headersMilliseconds: number; readonly requestMilliseconds: number };
  readonly dropped?: Dropped;
}

export interface AdmissionServer {
  readonly port: number;
  /** New connections get this certificate; those that exist go on. */
  readonly setCertificate: (certificate: ServingCertificate) => void;
  /** Answers what has begun, then closes. */
  readonly close: () => Promise<void>;
}

const bodyLimit = 3 * 1024 * 1024;
/** An API server has hundreds of requests under way when many pods are made, all from one address. */
const defaultConnections: ConnectionLimits = { perAddress: 512, total: 1024 };
const defaultPatience = { headersMilliseconds: 5000, requestMilliseconds: 10_000 };
const handshakeMilliseconds = 5000;
const largestHeaders = 16 * 1024;

const tlsOf = (certificate: ServingCertificate) => ({
  cert: certificate.certificateChainPem,
  key: certificate.privateKeyPem,
  ...serverProtocols,
});

const readParameters = (path: string): ReadonlyMap<string, string> | undefined => {
  const parts = path.split("/").filter((part) => part !== "");
  if (parts.length % 2 !== 0 || parts.length > 32) return undefined;
  const pairs = Array.from({ length: parts.length / 2 }, (_, at) => [parts[2 * at]!, parts[2 * at + 1]!] as const);
  return new Map(pairs);
};

const messages: Readonly<Record<number, string>> = {
  413: `the body is larger than ${bodyLimit} bytes`,
  415: "the content type is not application/json",
};

const answerErrors = (app: FastifyInstance, options: AdmissionServerOptions): void => {
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    // An internal message may quote a pod; it goes to the log only.
    if (status >= 500) options.failed?.(error);
    else options.observe?.("invalid", 0);
    if (status === 413) reply.header("connection", "close");
    return reply.code(status).send({ message: messages[status] ?? (status < 500 ? error.message : "internal error") });
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ message: "not found; send POST /inject or /validate" }),
  );
};

const answer = async (
  options: AdmissionServerOptions,
  body: unknown,
  path: string,
  reply: FastifyReply,
): Promise<object> => {
  const started = performance.now();
  const observe = (outcome: Parameters<NonNullable<AdmissionServerOptions["observe"]>>[0]): void =>
    options.observe?.(outcome, (performance.now() - started) / 1000);
  const parameters = readParameters(path);
  if (parameters === undefined) {
    observe("invalid");
    return reply.code(400).send({ message: `path /inject/${path.slice(0, 80)}: write pairs, /inject/key/value` });
  }
  const review = readReview(body);
  if (review.kind === "invalid") {
    observe("invalid");
    return reply.code(400).send({ message: review.message });
  }
  if (review.kind === "refused") {
    observe("refused");
    return writeReview(review.uid, { allowed: false, code: 400, message: review.message });
  }
  const { admission } = review;
  try {
    const verdict = await options.admit(admission, parameters);
    observe(verdict.allowed ? "allowed" : "refused");
    return writeReview(admission.uid, verdict);
  } catch (error) {
    observe("failed");
    options.failed?.(error as Error);
    return writeReview(admission.uid, {
      allowed: false,
      code: 500,
      message: "heddled could not inject the pod; its log says why",
    });
  }
};

const answerValidate = (options: AdmissionServerOptions, body: unknown, reply: FastifyReply): object => {
  const started = performance.now();
  const answered = answerValidation(body, options.analyse, (error) => options.failed?.(error));
  const seconds = (performance.now() - started) / 1000;
  if (answered.kind === "invalid") {
    options.observe?.("invalid", seconds);
    return reply.code(400).send({ message: answered.message });
  }
  options.observe?.(answered.verdict.allowed ? "allowed" : "refused", seconds);
  return writeReview(answered.uid, answered.verdict);
};

/**
 * The webhook server: POST /inject for pods and POST /validate for the configuration API, each with an AdmissionReview v1
 * in JSON of 3 MiB at most. Rejects if the port is taken or
 * the certificate does not fit its key.
 */
export const startAdmissionServer = async (options: AdmissionServerOptions): Promise<AdmissionServer> => {
  const { headersMilliseconds, requestMilliseconds } = options.patience ?? defaultPatience;
  const app = fastify({
    https: {
      ...tlsOf(options.certificate),
      handshakeTimeout: handshakeMilliseconds,
      maxHeaderSize: largestHeaders,
      connectionsCheckingInterval: 500,
    },
    bodyLimit,
    // Fastify's own JSON parser refuses __proto__ and constructor.prototype with 400.
    onProtoPoisoning: "error",
    onConstructorPoisoning: "error",
    requestTimeout: requestMilliseconds,
    connectionTimeout: 0,
    keepAliveTimeout: 90_000,
    maxRequestsPerSocket: 10_000,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 2048 },
  });
  app.removeContentTypeParser("text/plain");
  const server = app.server as unknown as Server;
  server.headersTimeout = headersMilliseconds;
  server.on("tlsClientError", () => undefined);
  const connections = limitConnections(options.connections ?? defaultConnections, options.dropped);
  server.prependListener("connection", (socket: Socket) => void connections.enter(socket));
  boundBodies(app as unknown as FastifyInstance, bodyLimit);
  answerErrors(app as unknown as FastifyInstance, options);
  app.post("/inject", (request, reply) => answer(options, request.body, "", reply as unknown as FastifyReply));
  app.post<{ Params: { "*": string } }>("/inject/*", (request, reply) =>
    answer(options, request.body, request.params["*"], reply as unknown as FastifyReply),
  );
  app.post("/validate", async (request, reply) =>
    answerValidate(options, request.body, reply as unknown as FastifyReply),
  );
  prepareValidation();
  await app.listen({ host: options.host, port: options.port });
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    setCertificate: (certificate) => server.setSecureContext(tlsOf(certificate)),
    close: () => app.close(),
  };
};
