import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { connect as connectTls } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type VirtualServiceSpec, virtualService } from "../../src/api/networking/virtual-service.js";
import { packed } from "../../src/compile/encode.js";
import { type L4Route, tcpRoutes, tlsRoutes, weightedTcpProxy } from "../../src/compile/routes/l4.js";
import {
  FilterChainSchema,
  ListenerFilterSchema,
} from "../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { TlsInspectorSchema } from "../../src/proto/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { resolved, sidecarContext } from "../support/routing.js";
import { type LoopbackEnvoy, loopbackCluster, loopbackListener, startLoopbackEnvoy } from "./support/loopback-envoy.js";
import { isShare } from "./support/requests.js";

const to = (subset: string, weight?: number) => ({
  destination: { host: "db", subset },
  ...(weight === undefined ? {} : { weight }),
});
const clusterOf = (subset: string): string => `outbound|80|${subset}|db.shop.svc.cluster.local`;

const specs: Readonly<Record<string, VirtualServiceSpec>> = {
  weights: { hosts: ["db"], tcp: [{ route: [to("v1", 75), to("v2", 25)] }] },
  subnets: {
    hosts: ["db"],
    tcp: [
      { match: [{ destinationSubnets: ["10.0.0.0/8", "192.168.0.1"] }], route: [to("v1")] },
      { match: [{ sourceLabels: { app: "b" } }], route: [to("v1")] },
      { match: [{ port: 81 }], route: [to("v1")] },
      { match: [{ destinationSubnets: ["127.9.9.9/8"] }], route: [to("v2")] },
      { route: [to("v1")] },
    ],
  },
  sni: {
    hosts: ["*.example.com"],
    tls: [
      { match: [{ sniHosts: ["a.example.com"], sourceNamespace: "other" }], route: [to("v2")] },
      { match: [{ sniHosts: ["a.example.com"] }], route: [to("v1")] },
      { match: [{ sniHosts: ["a.example.com", "*.example.com"] }], route: [to("v2")] },
    ],
  },
};

const chainOf = ({ match, clusters, name }: L4Route) =>
  create(FilterChainSchema, {
    filterChainMatch: { ...match, ...(match.serverNames === undefined ? {} : { transportProtocol: "tls" }) },
    filters: [weightedTcpProxy(clusters, {}, name)],
  });

const listenerOf = (name: string, spec: VirtualServiceSpec): Listener => {
  const object = { metadata: { name, namespace: "shop" }, spec };
  assert.equal(virtualService.check(object), []);
  const rule = resolved(object);
  const routes = [...tlsRoutes(rule, sidecarContext), ...tcpRoutes(rule, sidecarContext)];
  return create(ListenerSchema, {
    ...loopbackListener(name, routes.map(chainOf)),
    listenerFilters: [
      create(ListenerFilterSchema, {
        name: "envoy.filters.listener.tls_inspector",
        configType: { case: "typedConfig", value: packed(TlsInspectorSchema, create(TlsInspectorSchema)) },
      }),
    ],
  });
};

/** Says its name to whoever says something. */
const startNamed = async (name: string): Promise<Server> => {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () => socket.end(name));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
};

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

let servers: Readonly<Record<"v1" | "v2", Server>>;
let envoy: LoopbackEnvoy;

test.before(async () => {
  servers = { v1: await startNamed("v1"), v2: await startNamed("v2") };
  envoy = await startLoopbackEnvoy({
    listeners: Object.entries(specs).map(([name, spec]) => listenerOf(name, spec)),
    clusters: Object.entries(servers).map(([name, server]) => loopbackCluster(clusterOf(name), [portOf(server)])),
  });
});
test.after(async () => {
  await envoy?.stop();
  for (const server of Object.values(servers ?? {})) server.close();
});

/** "" if the connection is closed or reset without one. */
const answerTo = async (listener: string, hello: string | Buffer): Promise<string> => {
  const socket = connect(envoy.port(listener), "127.0.0.1").setTimeout(10_000, () => socket.destroy());
  socket.write(hello);
  let answer = "";
  try {
    for await (const chunk of socket) answer += String(chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ECONNRESET") throw error;
  }
  return answer;
};

/** What a TLS client says first. */
const clientHello = (servername: string): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.once("data", (hello) => {
        resolve(hello);
        socket.destroy();
        server.close();
      });
    }).listen(0, "127.0.0.1", () => {
      const client = connectTls({ port: portOf(server), host: "127.0.0.1", servername });
      client.on("error", () => client.destroy());
    });
    server.on("error", reject);
  });

test("connections are shared by weight (five standard deviations)", async () => {
  const answers: string[] = [];
  for (let batch = 0; batch < 50; batch++)
    answers.push(...(await Promise.all(Array.from({ length: 16 }, () => answerTo("weights", "hello")))));
  const second = answers.filter((answer) => answer === "v2").length;
  assert.is(answers.filter((answer) => answer === "v1").length + second, 800);
  assert.ok(isShare(second, 800, 0.25), `${second} of 800`);
});

test("the address that is called chooses the rule", async () => {
  assert.is(await answerTo("subnets", "hello"), "v2");
});

test("the server name chooses the rule, the first that has it", async () => {
  assert.is(await answerTo("sni", await clientHello("a.example.com")), "v1");
  assert.is(await answerTo("sni", await clientHello("b.example.com")), "v2");
  assert.is(await answerTo("sni", await clientHello("x.b.example.com")), "v2");
  assert.is(await answerTo("sni", await clientHello("example.org")), "", "closed without an answer");
});

test.run();
