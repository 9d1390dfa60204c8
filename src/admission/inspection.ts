import fastify from "fastify";

export interface InspectionServerOptions {
  /** 0 for any free port. */
  readonly port: number;
  /** What GET of each path answers, as JSON; nothing in it may be secret. */
  readonly views: Readonly<Record<string, () => object>>;
}

export interface InspectionServer {
  readonly port: number;
  readonly close: () => Promise<void>;
}

/** Listening elsewhere would show the mesh's inside to every pod. */
const loopback = "127.0.0.1";
export const inspectionPort = 15016;
/** The name that requests are to ask for. */
export const inspectionHost = "heddled";

/**
 * What heddled knows of its proxies, for the command line. It listens on the pod's loopback alone, and so answers those
 * whom Kubernetes lets forward a port to this pod (`create` on `pods/portforward`), and nobody on the network.
 */
export const startInspectionServer = async (options: InspectionServerOptions): Promise<InspectionServer> => {
  const app = fastify({ requestTimeout: 10_000, forceCloseConnections: true, bodyLimit: 1024 });
  // A page in somebody's browser cannot send a request of this name, whatever name its own host resolves to.
  app.addHook("onRequest", async (request, reply) => {
    if (request.hostname !== inspectionHost) return reply.code(403).send({ message: `send host: ${inspectionHost}` });
  });
  for (const [path, view] of Object.entries(options.views)) app.get(path, async () => view());
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ message: `not found; there is GET ${Object.keys(options.views).join(", ")}` }),
  );
  await app.listen({ host: loopback, port: options.port });
  const address = app.server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close: () => app.close(),
  };
};
