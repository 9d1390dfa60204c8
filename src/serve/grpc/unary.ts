import { EventEmitter } from "node:events";
import {
  Metadata,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { framed } from "./framing.js";
import type { GrpcMethod } from "./server.js";

type UnaryHandler = (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>) => void;

/** Far more than a certificate signing request takes, and little enough to keep for a stranger. */
const largestUnaryRequest = 32 * 1024;

const unaryMethod =
  (method: ServiceDefinition[string], handle: UnaryHandler): GrpcMethod =>
  (call) => {
    call.limitMessages(largestUnaryRequest);
    let request: unknown;
    let isThere = false;
    const events = new EventEmitter();
    const surface = Object.assign(events, {
      cancelled: false,
      metadata: Metadata.fromHttp2Headers(call.headers),
      getPeer: () => call.peer,
      getPath: () => method.path,
      getHost: () => call.headers[":authority"] ?? "",
      getDeadline: () => Number.POSITIVE_INFINITY,
    });
    const answer: sendUnaryData<unknown> = (error, value, trailer) => {
      const trailers = trailer?.toHttp2Headers();
      if (error) {
        const { code, details } = error;
        return call.end(code ?? status.UNKNOWN, details ?? ("message" in error ? error.message : ""), trailers);
      }
      // What these methods give, they give to whom they have authenticated.
      call.authenticated();
      call.write([framed(method.responseSerialize(value))]);
      call.end(status.OK, "", trailers);
    };
    return {
      message: (bytes) => {
        if (isThere) return call.end(status.INVALID_ARGUMENT, "one request was expected");
        request = method.requestDeserialize(bytes);
        isThere = true;
      },
      halfClosed: () => {
        if (!isThere) return call.end(status.INVALID_ARGUMENT, "there is no request");
        handle(Object.assign(surface, { request }) as unknown as ServerUnaryCall<unknown, unknown>, answer);
      },
      closed: () => {
        surface.cancelled = true;
        events.emit("cancelled", "cancelled");
      },
    };
  };

/** The unary methods of a service in grpc-js' form, by path. Throws for one that streams or that nothing implements. */
export const unaryMethods = (
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
): ReadonlyMap<string, GrpcMethod> =>
  new Map(
    Object.entries(definition).map(([name, method]) => {
      const handle = implementation[name] ?? implementation[method.originalName ?? name];
      if (method.requestStream || method.responseStream)
        throw new Error(`${method.path} streams; only unary is served`);
      if (handle === undefined) throw new Error(`${method.path} is not implemented`);
      return [method.path, unaryMethod(method, handle as unknown as UnaryHandler)];
    }),
  );
