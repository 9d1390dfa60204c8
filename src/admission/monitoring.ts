import fastify from "fastify";
import type { Registry } from "prom-client";

export interface MonitoringServerOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly registry: Registry;
  /** What is not ready yet; nothing when requests can be served. */
  readonly waitingFor: () => readonly string[];
}

export interface MonitoringServer {
  readonly port: number;
  readonly close: () => Promise<void>;
}

const mostConnections = 256;

/** Plain HTTP: /metrics for Prometheus, /ready (503 until ready) and /healthz for the kubelet. */
export const startMonitoringServer = async (options: MonitoringServerOptions): Promise<MonitoringServer> => {
  const app = fastify({ requestTimeout: 10_000, forceCloseConnections: true, bodyLimit: 1024 });
  app.get("/metrics", async (_request, reply) => {
    reply.header("content-type", options.registry.contentType);
    return options.registry.metrics();
  });
  app.get("/ready", async (_request, reply) => {
    const waiting = options.waitingFor();
    return reply.code(waiting.length === 0 ? 200 : 503).send({ ready: waiting.length === 0, waitingFor: waiting });
  });
  app.get("/healthz", async () => ({ healthy: true }));
  app.server.maxConnections = mostConnections;
  app.server.headersTimeout = 5000;
  await app.listen({ host: options.host, port: options.port });
  const address = app.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close: () => app.close(),
  };
};
