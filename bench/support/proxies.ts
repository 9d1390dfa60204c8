import { type ClientHttp2Session, connect } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { typeUrls } from "../../src/compile/resources.js";
import { DeltaDiscoveryRequestSchema } from "../../src/proto/envoy/service/discovery/v3/discovery_pb.js";
import { serveParent } from "./child.js";
import { createFrameReader, createMessageReader, frame } from "./delta-frames.js";
import { namespaceOf, podName, routeNames } from "./mesh.js";

/**
 * Many proxies in one process: each a TLS connection of its own with one delta ADS stream that asks in Envoy's order
 * (clusters; endpoints and secrets; listeners; routes) and acknowledges what comes.
 */
interface Target {
  readonly port: number;
  readonly rootsPem: string;
}

interface Proxy {
  readonly session: ClientHttp2Session;
  readonly socket: Socket;
}

const serverName = "heddled.istio-system.svc";
const path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

const request = (fields: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): Buffer =>
  frame(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, fields)));

const subscribe = (typeUrl: string, names: readonly string[]): Buffer =>
  request({ typeUrl, resourceNamesSubscribe: [...names] });
const secretRequest = subscribe(typeUrls.secret, ["default", "ROOTCA"]);
const listenerRequest = request({ typeUrl: typeUrls.listener });
const routeRequest = subscribe(typeUrls.route, routeNames);
/** All proxies see the same services; the first one's list serves all, or this process would measure itself. */
let endpointRequest: Buffer | undefined;

const read = createMessageReader();
let target: Target = { port: 0, rootsPem: "" };
const proxies: Proxy[] = [];
let failure: Error | undefined;

const openSession = (fail: (error: Error) => void): ClientHttp2Session => {
  const socket = connectTcp({ host: "127.0.0.1", port: target.port, noDelay: true });
  const tls = connectTls({ socket, ca: target.rootsPem, servername: serverName, ALPNProtocols: ["h2"] });
  const session = connect(`https://${serverName}`, {
    createConnection: () => tls,
    settings: { initialWindowSize: 1 << 20, enablePush: false },
  });
  session.on("error", (error: Error) => {
    failure ??= error;
    fail(error);
  });
  session.once("connect", () => session.setLocalWindowSize(1 << 20));
  proxies.push({ session, socket });
  return session;
};

/** One stream on a connection of its own, with a token, on which nothing is said. */
const connectBare = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const stream = openSession(reject).request(
      { ":method": "POST", ":path": path, authorization: `Bearer ${"x".repeat(1000)}` },
      { endStream: false },
    );
    stream.on("error", reject);
    stream.once("data", () => resolve());
    stream.write("x");
  });

/** Resolves when the proxy has acknowledged a first response of every type. */
const connectProxy = (index: number, endpointsEach: number): Promise<void> =>
  new Promise((resolve, reject) => {
    const service = Math.floor(index / endpointsEach);
    const [namespace, pod] = [namespaceOf(service), podName(service, index % endpointsEach)];
    const fail = (error: Error): void => {
      failure ??= error;
      reject(error);
    };
    const session = openSession(reject);
    const stream = session.request(
      {
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        "grpc-accept-encoding": "identity, deflate, gzip",
        authorization: `Bearer ${Buffer.from(`${namespace}/${pod}/app-${service}`).toString("base64url")}`,
      },
      { endStream: false },
    );
    stream.on("error", fail);
    stream.on("trailers", (trailers) =>
      fail(new Error(`${pod}: status ${trailers["grpc-status"]} ${trailers["grpc-message"] ?? ""}`)),
    );
    const open = new Set<string>(Object.values(typeUrls).filter((type) => type !== typeUrls.extension));
    const next = (type: string, names: readonly string[]): void => {
      if (type === typeUrls.cluster) {
        endpointRequest ??= subscribe(
          typeUrls.endpoint,
          names.filter((name) => name.startsWith("outbound|")),
        );
        stream.write(endpointRequest);
        stream.write(secretRequest);
      } else if (type === typeUrls.endpoint) stream.write(listenerRequest);
      else if (type === typeUrls.listener) stream.write(routeRequest);
    };
    stream.on(
      "data",
      createFrameReader((message, isDeflated) => {
        const { typeUrl, nonce, names } = read(message, isDeflated, endpointRequest === undefined);
        stream.write(request({ typeUrl, responseNonce: nonce }));
        if (!open.delete(typeUrl)) return;
        next(typeUrl, names);
        if (open.size === 0) resolve();
      }),
    );
    stream.write(
      request({
        typeUrl: typeUrls.cluster,
        node: { id: `sidecar~10.0.0.1~${pod}.${namespace}~${namespace}.svc.cluster.local` },
      }),
    );
  });

/** Connects the proxies `from` to `to`, all at once; resolves with the milliseconds each needed to be configured. */
const connectAll = async (input: {
  readonly target: Target;
  readonly from: number;
  readonly to: number;
  readonly endpoints: number;
}): Promise<readonly number[]> => {
  target = input.target;
  const began = performance.now();
  return Promise.all(
    Array.from({ length: input.to - input.from }, async (_, offset) => {
      await connectProxy(input.from + offset, input.endpoints);
      return performance.now() - began;
    }),
  );
};

const connectBares = async (input: { readonly target: Target; readonly count: number }): Promise<void> => {
  target = input.target;
  await Promise.all(Array.from({ length: input.count }, connectBare));
};

const wire = (): { readonly received: number; readonly sent: number } => {
  if (failure !== undefined) throw failure;
  return {
    received: proxies.reduce((sum, { socket }) => sum + socket.bytesRead, 0),
    sent: proxies.reduce((sum, { socket }) => sum + socket.bytesWritten, 0),
  };
};

serveParent({ connect: connectAll, connectBare: connectBares, wire });
