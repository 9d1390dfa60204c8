import type { IncomingHttpHeaders } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { type ServiceDefinition, status, type UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { TypeUrl } from "../compile/resources.js";
import type { Dropped } from "../limits/connections.js";
import type { NewcomerLimits } from "../limits/newcomers.js";
import { createRateLimit } from "../limits/rate-limit.js";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
} from "../proto/envoy/service/discovery/v3/discovery_pb.js";
import type { Authenticate, ConfigurationSource, ProxyIdentity } from "./configuration.js";
import { createResponseEncoder } from "./encoding.js";
import { type GrpcCall, type GrpcMethod, type ServingCertificate, startGrpcServer } from "./grpc/server.js";
import { unaryMethods } from "./grpc/unary.js";
import { measureLag } from "./lag.js";
import { createPacer } from "./pace.js";
import { redacted } from "./redaction.js";
import { createDeltaStream, type DeltaStream } from "./stream.js";

export type { ServingCertificate } from "./grpc/server.js";

export interface XdsServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly authenticate: Authenticate;
  readonly configuration: ConfigurationSource;
  readonly certificate: ServingCertificate;
  readonly logger: Logger;
  readonly observe?: XdsObserver;
  /** Of connections that have shown no good token yet. */
  readonly newcomers?: Partial<NewcomerLimits>;
  /** Further services on the same port, unary methods only. */
  readonly services?: readonly {
    readonly definition: ServiceDefinition;
    readonly implementation: UntypedServiceImplementation;
  }[];
}

/** What metrics are made of. */
export interface XdsObserver {
  readonly connected: (count: number) => void;
  /** A response was written; `milliseconds` were spent on putting it together. */
  readonly pushed: (bytes: number, type: TypeUrl, milliseconds: number) => void;
  readonly acked: (type: TypeUrl) => void;
  readonly nacked: (type: TypeUrl) => void;
  readonly refused: () => void;
  /** A connection was closed because there were too many, or it took too long or too much to say whose it is. */
  readonly dropped?: Dropped;
  /** A proxy holds all that has changed, the first of it so long ago. */
  readonly converged?: (milliseconds: number) => void;
}

export interface XdsServer {
  readonly port: number;
  /** Takes effect for connections made from now on. */
  readonly setCertificate: (certificate: ServingCertificate) => void;
  /**
   * Takes no more streams, tells each proxy to go elsewhere at a random moment within `spreadMilliseconds` (0 without)
   * and ends. Proxies keep their configuration.
   */
  readonly stop: (spreadMilliseconds?: number) => Promise<void>;
  readonly encodes: () => number;
}

const largestRequest = 8 << 20;
const attachMilliseconds = 30_000;
/** Streams of one pod at the same time: those before may not have ended yet for a server that does not know it. */
const mostStreamsOfPod = 4;
/** Requests of one stream that may wait for their turn before it is read no further. */
const mostWaiting = 16;

const deltaAggregatedResourcesPath = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

const bearerOf = ({ authorization = "" }: IncomingHttpHeaders): string =>
  authorization.startsWith("Bearer ") ? authorization.slice("Bearer ".length) : "";

const addressOf = (peer: string): string => peer.slice(0, peer.lastIndexOf(":"));

/** The pod a node id names: `sidecar~<ip>~<pod>.<namespace>~<domain>`. It is compared with the token, never believed. */
const contradicts = (nodeId: string, proxy: ProxyIdentity): boolean => {
  const named = nodeId.split("~")[2];
  return named !== undefined && named !== `${proxy.podName}.${proxy.namespace}`;
};

const decode = (call: GrpcCall, bytes: Buffer): DeltaDiscoveryRequest | undefined => {
  try {
    return fromBinary(DeltaDiscoveryRequestSchema, bytes);
  } catch {
    call.end(status.INVALID_ARGUMENT, "the request is not a DeltaDiscoveryRequest");
    return undefined;
  }
};

/** Serves delta ADS over TLS; listens when it resolves. */
export const startXdsServer = async (options: XdsServerOptions): Promise<XdsServer> => {
  const { logger, observe } = options;
  const encoder = createResponseEncoder();
  const pace = createPacer({ turnMilliseconds: 10, most: Number.POSITIVE_INFINITY });
  const paceOpening = createPacer({ turnMilliseconds: 10, most: 16 });
  let streams = 0;
  const callsOfPods = new Map<string, Set<GrpcCall>>();
  // Who is refused without end does not fill the log.
  const refusalLogs = createRateLimit({ burst: 20, perSecond: 0.2 });

  /** Notes a stream of this pod until it has ended, and ends its oldest one if there are too many. */
  const track = (call: GrpcCall, podUid: string, ended: AbortSignal): void => {
    const calls = callsOfPods.get(podUid) ?? new Set();
    callsOfPods.set(podUid, calls);
    calls.add(call);
    ended.addEventListener("abort", () => {
      calls.delete(call);
      if (calls.size === 0 && callsOfPods.get(podUid) === calls) callsOfPods.delete(podUid);
    });
    const [oldest] = calls;
    if (calls.size > mostStreamsOfPod)
      oldest?.end(status.RESOURCE_EXHAUSTED, "the pod has opened too many streams; this was its oldest");
  };

  /** Authenticates and attaches; undefined if the call has ended or was refused meanwhile. */
  const open = async (
    call: GrpcCall,
    first: Promise<DeltaDiscoveryRequest | undefined>,
    ended: AbortSignal,
  ): Promise<DeltaStream | undefined> => {
    const refuse = (code: status, why: string): undefined => {
      observe?.refused();
      if (refusalLogs.take(addressOf(call.peer))) logger.warn({ peer: call.peer, why }, "refused an xDS stream");
      call.end(code, why);
    };
    let proxy: ProxyIdentity;
    try {
      proxy = await options.authenticate(bearerOf(call.headers), addressOf(call.peer));
    } catch (error) {
      return refuse(status.UNAUTHENTICATED, (error as Error).message);
    }
    if (ended.aborted) return undefined;
    call.authenticated();
    track(call, proxy.podUid, ended);
    const request = await first;
    if (request === undefined || ended.aborted) return undefined;
    if (contradicts(request.node?.id ?? "", proxy))
      return refuse(
        status.PERMISSION_DENIED,
        `the node id names another pod than the token, ${proxy.podName}.${proxy.namespace}`,
      );
    let configuration: Awaited<ReturnType<ConfigurationSource["attach"]>>;
    const patience = new AbortController();
    const impatience = setTimeout(() => patience.abort(), attachMilliseconds);
    try {
      configuration = await options.configuration.attach(proxy, AbortSignal.any([ended, patience.signal]));
    } catch (error) {
      return ended.aborted ? undefined : refuse(status.UNAVAILABLE, (error as Error).message);
    } finally {
      clearTimeout(impatience);
    }
    if (ended.aborted) {
      configuration.release();
      return undefined;
    }
    const name = `${proxy.podName}.${proxy.namespace}`;
    const stream = createDeltaStream({
      layers: configuration.layers,
      encoder,
      mayDeflate: call.acceptsDeflate,
      write: (message, type, milliseconds) => {
        observe?.pushed(message.length, type, milliseconds);
        call.write(message.buffers);
      },
      acked: (type) => {
        observe?.acked(type);
        lag.answered();
      },
      delivered: configuration.delivered,
      nacked: (type, names, detail) => {
        const message = redacted(detail);
        observe?.nacked(type);
        lag.forget();
        logger.error(
          { proxy: name, type, names: names.slice(0, 20), message },
          "the proxy rejected its configuration and keeps the last good one",
        );
        options.configuration.nacked(proxy, type, names, message);
      },
    });
    const lag = measureLag(stream.isInSync, (milliseconds) => observe?.converged?.(milliseconds));
    let isDue = false;
    configuration.opened?.(stream.isInSync);
    const detach = configuration.onChange((_layer, touched) => {
      configuration.answered?.();
      stream.mark(touched);
      lag.changed();
      if (isDue) return;
      isDue = true;
      pace(() => {
        isDue = false;
        stream.flush();
        lag.flushed();
      });
    });
    // Every pod ends some day: that is no refusal.
    const forget = configuration.onGone?.((why) => {
      logger.info({ proxy: name, why }, "ended an xDS stream");
      call.end(status.UNAUTHENTICATED, why);
    });
    observe?.connected(++streams);
    logger.info({ proxy: name }, "proxy connected");
    ended.addEventListener(
      "abort",
      () => {
        detach();
        forget?.();
        configuration.release();
        observe?.connected(--streams);
        logger.info({ proxy: name }, "proxy disconnected");
      },
      { once: true },
    );
    stream.receive(request);
    return {
      ...stream,
      receive: (next) => {
        stream.receive(next);
        configuration.answered?.();
      },
    };
  };

  const deltaAggregatedResources: GrpcMethod = (call) => {
    const ending = new AbortController();
    const first = Promise.withResolvers<DeltaDiscoveryRequest | undefined>();
    /** What came before the stream was open. */
    const early: DeltaDiscoveryRequest[] = [];
    let isFirst = true;
    let waiting = 0;
    let stream: DeltaStream | undefined;
    open(call, first.promise, ending.signal).then(
      (opened) => {
        stream = opened;
        for (const request of early.splice(0)) stream?.receive(request);
        call.resume();
      },
      (error: Error) => {
        logger.error({ error: error.message }, "an xDS stream failed");
        call.end(status.INTERNAL, "internal error");
      },
    );
    const handle = (bytes: Buffer, isNow: boolean): void => {
      if (waiting-- === mostWaiting && stream !== undefined) call.resume();
      const request = ending.signal.aborted ? undefined : decode(call, bytes);
      if (request === undefined) return;
      if (isNow) first.resolve(request);
      else if (stream === undefined) early.push(request);
      else stream.receive(request);
    };
    return {
      message: (bytes) => {
        const isNow = isFirst;
        isFirst = false;
        // Until it is known who asks, no more than what is under way is read; later as much as waits its turn.
        if (++waiting === mostWaiting || stream === undefined) call.pause();
        (isNow ? paceOpening : pace)(() => handle(bytes, isNow));
      },
      halfClosed: () => call.end(status.OK),
      closed: () => {
        first.resolve(undefined);
        ending.abort();
      },
    };
  };

  const server = await startGrpcServer({
    ...options,
    largestRequest,
    ...(observe?.dropped === undefined ? {} : { dropped: observe.dropped }),
    methods: new Map([
      [deltaAggregatedResourcesPath, deltaAggregatedResources],
      ...(options.services ?? []).flatMap(({ definition, implementation }) => [
        ...unaryMethods(definition, implementation),
      ]),
    ]),
  });
  return { ...server, encodes: encoder.encodes };
};
