import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clone, create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { boundAddress } from "../../../../src/compile/listeners/addresses.js";
import { ListenerFilterSchema } from "../../../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { ProxyProtocolSchema } from "../../../../src/proto/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import type { Situation } from "../../../support/arbitrary/authorization.js";
import { principalOf } from "../../../support/authorization/identity.js";
import type { Identity } from "../../../support/authorization/types.js";
import { createTestAuthority } from "../certificates.js";
import { listenerWithFileSecrets, writeSecrets } from "../file-secrets.js";
import { loopbackCluster, startLoopbackEnvoy } from "../loopback-envoy.js";
import { ask, type Certificate, type Outcome } from "./client.js";
import { authorizer, type CompiledInbound } from "./compiled.js";

export type Compile = (situation: Situation, accessLogFile: string) => CompiledInbound;

export interface Answers {
  /** Of each request of each situation, in their order. */
  readonly outcomes: readonly (readonly Outcome[])[];
  /** Lines of the access log about a request; waits until there is one. */
  readonly logged: (outcome: Outcome) => Promise<string>;
}

const concurrency = 16;
const logDeadlineMilliseconds = 5000;

const listening = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
};

/** The pods' applications: HTTP is answered by 200, all else by `taken`. */
const application = (): Server =>
  createTcpServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (bytes) =>
      socket.end(
        bytes.includes(" HTTP/1.1\r\n") ? "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" : "taken",
      ),
    );
  });

/** Says what the request tells it to say. */
const externalAuthorizer = (): Server =>
  createServer(({ headers }, response) => {
    response.writeHead(headers["x-external"] === "allow" ? 200 : 403).end();
  });

/** On loopback, told by the PROXY protocol what original destinations would tell. */
const onLoopback = (listener: Listener, name: string, host: string): Listener => {
  const copy = clone(ListenerSchema, listener);
  const proxyProtocol = create(ListenerFilterSchema, {
    name: "proxy_protocol",
    configType: { case: "typedConfig", value: anyPack(ProxyProtocolSchema, create(ProxyProtocolSchema)) },
  });
  return Object.assign(copy, {
    name,
    address: boundAddress(host, 0),
    additionalAddresses: [],
    listenerFilters: copy.listenerFilters.map((filter) =>
      filter.name === "envoy.filters.listener.original_dst" ? proxyProtocol : filter,
    ),
  });
};

const inTurn = async (tasks: readonly (() => Promise<void>)[]): Promise<void> => {
  const queue = [...tasks];
  const worker = async (): Promise<void> => {
    for (let task = queue.shift(); task !== undefined; task = queue.shift()) await task();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
};

/** Certificates of callers, by SPIFFE id, made when first wanted. */
export const createIdentities = async () => {
  const authority = await createTestAuthority("authorization");
  const known = new Map<string, Certificate>();
  const issue = async (peer: Identity): Promise<void> => {
    const name = principalOf(peer);
    if (!known.has(name)) known.set(name, await authority.issue(`caller-${known.size}`, [], `spiffe://${name}`));
  };
  const own = await authority.issue("server", [], "spiffe://cluster.local/ns/shop/sa/server");
  return { issue, of: (peer: Identity) => known.get(principalOf(peer))!, own, roots: authority.certificatePem };
};

export type Identities = Awaited<ReturnType<typeof createIdentities>>;

const familyOf = (address: string): string => (address.includes(":") ? "::1" : "127.0.0.1");

/** Sets up all situations' pods in one Envoy, asks each what its situation says, and lets `use` look at the answers. */
export const withAnswers = async (
  situations: readonly Situation[],
  compile: Compile,
  identities: Identities,
  use: (answers: Answers) => Promise<void>,
): Promise<void> => {
  const folder = await mkdtemp(join(tmpdir(), "authorization-"));
  const logFile = join(folder, "access.log");
  const servers = [application(), externalAuthorizer()];
  try {
    const [applicationPort, authorizerPort] = await Promise.all(servers.map(listening));
    const { own, roots } = identities;
    writeSecrets(folder, { certificate: own.certificate, key: own.key, roots });
    const compiled = situations.map((situation) => compile(situation, logFile));
    const listeners = compiled.flatMap(({ listener }, index) =>
      [...new Set(situations[index]!.requests.map(({ sourceAddress }) => familyOf(sourceAddress)))].map((host) =>
        onLoopback(listenerWithFileSecrets(listener, folder), `${index} ${host}`, host),
      ),
    );
    const isAuthorizer = (name: string): boolean => name.startsWith(`outbound|${authorizer.port}|`);
    const clusters = [...new Set(compiled.flatMap(({ clusters: names }) => names))].map((name) =>
      loopbackCluster(name, [isAuthorizer(name) ? authorizerPort! : applicationPort!]),
    );
    const envoy = await startLoopbackEnvoy({ listeners, clusters });
    try {
      const peers = situations.flatMap(({ requests }) => requests.flatMap(({ peer }) => peer ?? []));
      for (const peer of peers) await identities.issue(peer);
      const outcomes = situations.map((): Outcome[] => []);
      await inTurn(
        situations.flatMap(({ requests }, index) =>
          requests.map((request, at) => async () => {
            const port = envoy.port(`${index} ${familyOf(request.sourceAddress)}`);
            outcomes[index]![at] = await ask(request, port, identities.of);
          }),
        ),
      );
      const logged = async ({ from }: Outcome): Promise<string> => {
        const end = performance.now() + logDeadlineMilliseconds;
        for (;;) {
          const lines = (await readFile(logFile, "utf8").catch(() => ""))
            .split("\n")
            .filter((line) => line.startsWith(`${from} `));
          if (lines.length > 0 || performance.now() > end) return lines.join("\n");
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      };
      await use({ outcomes, logged });
    } finally {
      await envoy.stop();
    }
  } finally {
    for (const server of servers) server.close();
    await rm(folder, { recursive: true, force: true });
  }
};
