import { fromBinary } from "@bufbuild/protobuf";
import {
  experimental,
  type Metadata,
  Server,
  type ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  type StatusObject,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { TypeUrl } from "../compile/resources.js";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
} from "../proto/envoy/service/discovery/v3/discovery_pb.js";
import type { Authenticate, ConfigurationSource, ProxyIdentity } from "./configuration.js";
import { createResponseEncoder } from "./encoding.js";
import { redacted } from "./redaction.js";
import { createDeltaStream } from "./stream.js";

export interface ServingCertificate {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
}

export interface XdsServerOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly authenticate: Authenticate;
  readonly configuration: ConfigurationSource;
  readonly certificate: ServingCertificate;
  readonly logger: Logger;
  readonly observe?: XdsObserver;
  readonly services?: readonly {
    readonly definition: ServiceDefinition;
    readonly implementation: UntypedServiceImplementation;
  }[];
}

/** What metrics are made of. */
export interface XdsObserver {
  readonly connected: (count: number) => void;
  readonly pushed: (bytes: number) => void;
  readonly acked: (type: TypeUrl) => void;
  readonly nacked: (type: TypeUrl) => void;
  readonly refused: () => void;
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
/** For what is under way when the server ends. */
const closeMilliseconds = 2000;

const bearerOf = (metadata: Metadata): string => {
  const value = metadata.get("authorization")[0];
  return typeof value === "string" && value.startsWith("Bearer ") ? value.slice("Bearer ".length) : "";
};

const refusal = (code: status, details: string): Partial<StatusObject> => ({ code, details });

const createCredentials = (
  first: ServingCertificate,
): { credentials: ServerCredentials; set: XdsServer["setCertificate"] } => {
  const listeners = new Set<experimental.IdentityCertificateUpdateListener>();
  const bytesOf = (certificate: ServingCertificate): experimental.IdentityCertificateUpdate => ({
    certificate: Buffer.from(certificate.certificateChainPem),
    privateKey: Buffer.from(certificate.privateKeyPem),
  });
  let current = bytesOf(first);
  const provider: experimental.CertificateProvider = {
    addCaCertificateListener: () => {},
    removeCaCertificateListener: () => {},
    addIdentityCertificateListener: (listener) => {
      listeners.add(listener);
      // The credentials drop what they are told before they have added the watcher that asks.
      queueMicrotask(() => listener(current));
    },
    removeIdentityCertificateListener: (listener) => {
      listeners.delete(listener);
    },
  };
  return {
    credentials: experimental.createCertificateProviderServerCredentials(provider, null, false),
    set: (certificate) => {
      current = bytesOf(certificate);
      for (const listener of listeners) listener(current);
    },
  };
};

/** The pod a node id names: `sidecar~<ip>~<pod>.<namespace>~<domain>`. It is compared with the token, never believed. */
const contradicts = (nodeId: string, proxy: ProxyIdentity): boolean => {
  const named = nodeId.split("~")[2];
  return named !== undefined && named !== `${proxy.podName}.${proxy.namespace}`;
};

/** Serves delta ADS over TLS; listens when it resolves. */
export const startXdsServer = async (options: XdsServerOptions): Promise<XdsServer> => {
  const { logger, observe } = options;
  const encoder = createResponseEncoder();
  let streams = 0;
  const open = new Set<ServerDuplexStream<DeltaDiscoveryRequest, Buffer>>();

  const serve = async (
    call: ServerDuplexStream<DeltaDiscoveryRequest, Buffer>,
    first: Promise<DeltaDiscoveryRequest | undefined>,
    ended: AbortSignal,
  ): Promise<void> => {
    const refuse = (code: status, why: string): void => {
      observe?.refused();
      logger.warn({ peer: call.getPeer(), why }, "refused an xDS stream");
      call.emit("error", refusal(code, why));
    };
    let proxy: ProxyIdentity;
    try {
      proxy = await options.authenticate(bearerOf(call.metadata));
    } catch (error) {
      return refuse(status.UNAUTHENTICATED, (error as Error).message);
    }
    const request = await first;
    if (request === undefined || ended.aborted) return;
    const nodeId = request.node?.id ?? "";
    if (contradicts(nodeId, proxy))
      return refuse(
        status.PERMISSION_DENIED,
        `the node id names another pod than the token, ${proxy.podName}.${proxy.namespace}`,
      );
    const log = logger.child({ proxy: `${proxy.podName}.${proxy.namespace}` });
    let configuration: Awaited<ReturnType<ConfigurationSource["attach"]>>;
    try {
      configuration = await options.configuration.attach(
        proxy,
        AbortSignal.any([ended, AbortSignal.timeout(attachMilliseconds)]),
      );
    } catch (error) {
      if (!ended.aborted) refuse(status.UNAVAILABLE, (error as Error).message);
      return;
    }
    const stream = createDeltaStream({
      layers: configuration.layers,
      encoder,
      write: (message) => {
        observe?.pushed(message.length);
        call.write(message);
      },
      acked: (type) => observe?.acked(type),
      nacked: (type, names, detail) => {
        const message = redacted(detail);
        observe?.nacked(type);
        log.error(
          { type, names: names.slice(0, 20), message },
          "the proxy rejected its configuration and keeps the last good one",
        );
        options.configuration.nacked(proxy, type, names, message);
      },
    });
    const detach = configuration.onChange((_layer, touched) => stream.touched(touched));
    observe?.connected(++streams);
    log.info("proxy connected");
    const forget = configuration.onGone?.((why) => refuse(status.UNAUTHENTICATED, why));
    const leave = (): void => {
      detach();
      forget?.();
      configuration.release();
      observe?.connected(--streams);
      log.info("proxy disconnected");
    };
    if (ended.aborted) return leave();
    ended.addEventListener("abort", leave, { once: true });
    stream.receive(request);
    call.on("data", stream.receive);
    call.resume();
  };

  const deltaAggregatedResources = (call: ServerDuplexStream<DeltaDiscoveryRequest, Buffer>): void => {
    const ending = new AbortController();
    open.add(call);
    const end = (): void => {
      open.delete(call);
      ending.abort();
    };
    call.on("end", () => {
      call.end();
      end();
    });
    call.on("cancelled", end);
    call.on("close", end);
    const first = new Promise<DeltaDiscoveryRequest | undefined>((resolve) => {
      ending.signal.addEventListener("abort", () => resolve(undefined));
      call.once("data", (request) => {
        call.pause();
        resolve(request);
      });
    });
    call.on("error", end);
    serve(call, first, ending.signal).catch((error: Error) => {
      logger.error({ error: error.message }, "an xDS stream failed");
      call.emit("error", refusal(status.INTERNAL, "internal error"));
    });
  };

  const server = new Server({
    "grpc.max_receive_message_length": largestRequest,
    "grpc.max_concurrent_streams": 16,
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 20_000,
    "grpc.keepalive_permit_without_calls": 1,
  });
  server.addService(
    {
      deltaAggregatedResources: {
        path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
        requestStream: true,
        responseStream: true,
        requestSerialize: (value: Buffer) => value,
        requestDeserialize: (bytes: Buffer) => fromBinary(DeltaDiscoveryRequestSchema, bytes),
        responseSerialize: (value: Buffer) => value,
        responseDeserialize: (value: Buffer) => value,
      },
    },
    { deltaAggregatedResources },
  );
  for (const { definition, implementation } of options.services ?? []) server.addService(definition, implementation);

  const { credentials, set } = createCredentials(options.certificate);
  const port = await new Promise<number>((resolve, reject) => {
    const host = options.host.includes(":") ? `[${options.host}]` : options.host;
    server.bindAsync(`${host}:${options.port}`, credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(new Error(`cannot listen on ${host}:${options.port}: ${error.message}`));
    });
  });
  return {
    port,
    setCertificate: set,
    encodes: encoder.encodes,
    stop: (spreadMilliseconds = 0) =>
      new Promise((resolve) => {
        // Connections are told first (GOAWAY): a stream that follows one that is ended here takes another connection.
        server.tryShutdown(() => {
          clearTimeout(force);
          resolve();
        });
        const force = setTimeout(() => server.forceShutdown(), spreadMilliseconds + closeMilliseconds);
        for (const call of open)
          setTimeout(
            () => call.emit("error", refusal(status.UNAVAILABLE, "heddled is ending; connect again")),
            Math.random() * spreadMilliseconds,
          );
      }),
  };
};
