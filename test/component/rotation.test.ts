import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRegistry, fromJson } from "@bufbuild/protobuf";
import { pino } from "pino";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { encodeResource } from "../../src/compile/encode.js";
import { typeUrls } from "../../src/compile/resources.js";
import { clientTls, secretResources, serverTls } from "../../src/compile/tls.js";
import { createView, type WritableView } from "../../src/compile/view.js";
import { openAuthority } from "../../src/identity/authority.js";
import type { SecretData } from "../../src/identity/authority-secret.js";
import { type LiveAuthority, openLiveAuthority } from "../../src/identity/live-authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { createWorkloadCertificates } from "../../src/identity/workload.js";
import { ClusterSchema } from "../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { RouterSchema } from "../../src/proto/envoy/extensions/filters/http/router/v3/router_pb.js";
import { HttpConnectionManagerSchema } from "../../src/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import type { ConfigurationSource } from "../../src/serve/configuration.js";
import { startXdsServer } from "../../src/serve/server.js";
import { makeAuthority } from "../support/authorities.js";
import { startEnvoy } from "./support/envoy.js";
import { eventually, freePort } from "./support/heddled.js";

/** Two real Envoys that call each other over mutual TLS, on a new connection for each request, while the root changes. */
const trustDomain = "cluster.local";
const rotation = suite("rotation");
const registry = createRegistry(HttpConnectionManagerSchema, RouterSchema);
const any = "type.googleapis.com/envoy.extensions.filters";

const listenerView = (port: number, action: object, certified: boolean): WritableView => {
  const listener = fromJson(
    ListenerSchema,
    {
      name: "listener",
      address: { socketAddress: { address: "127.0.0.1", portValue: port } },
      filterChains: [
        {
          filters: [
            {
              name: "http",
              typedConfig: {
                "@type": `${any}.network.http_connection_manager.v3.HttpConnectionManager`,
                statPrefix: "http",
                routeConfig: {
                  virtualHosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, ...action }] }],
                },
                httpFilters: [{ name: "router", typedConfig: { "@type": `${any}.http.router.v3.Router` } }],
              },
            },
          ],
        },
      ],
    },
    { registry },
  );
  if (certified) listener.filterChains[0]!.transportSocket = serverTls({ trustDomain, trustDomainAliases: [] }, []);
  const view = createView();
  view.set(typeUrls.listener, encodeResource(typeUrls.listener, listener.name, ListenerSchema, listener));
  return view;
};

const callerView = (port: number, peerPort: number): WritableView => {
  const view = listenerView(port, { route: { cluster: "peer" } }, false);
  const cluster = fromJson(ClusterSchema, {
    name: "peer",
    type: "STATIC",
    connectTimeout: "5s",
    maxRequestsPerConnection: 1,
    loadAssignment: {
      clusterName: "peer",
      endpoints: [
        { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: peerPort } } } }] },
      ],
    },
  });
  cluster.transportSocket = clientTls("peer", [], [{ case: "prefix", value: `spiffe://${trustDomain}/` }]);
  view.set(typeUrls.cluster, encodeResource(typeUrls.cluster, cluster.name, ClusterSchema, cluster));
  return view;
};

/** An intermediate two below its root, in the layout of cert-manager. */
const makeCertManagerSecret = async (): Promise<SecretData> => {
  const root = makeAuthority("root");
  const policy = makeAuthority("policy", { by: root });
  const issuer = makeAuthority("issuer", { by: policy, basicConstraints: "critical,CA:TRUE,pathlen:0" });
  const chain = issuer.certificate + policy.certificate;
  return { "tls.crt": chain, "tls.key": issuer.key, "ca.crt": root.certificate };
};

const makeSecret = async (): Promise<SecretData> => {
  const store = createMemorySecrets();
  await openAuthority(store, trustDomain);
  return (await store.read("istio-ca-secret"))!;
};

/** What heddled wires, for two proxies with a configuration of their own. */
const startPlane = async (authority: LiveAuthority, views: ReadonlyMap<string, WritableView>) => {
  const certificates = createWorkloadCertificates({
    authority: () => authority,
    trustDomain,
    lifetimeSeconds: 3600,
    failed: (error) => assert.unreachable(error.message),
  });
  const configuration: ConfigurationSource = {
    attach: async ({ podName }) => {
      const secrets = createView();
      const write = (issued: Parameters<typeof secretResources>[0]): void => {
        for (const resource of secretResources(issued)) secrets.set(typeUrls.secret, resource);
        secrets.commit();
      };
      const subscription = await certificates.subscribe("shop", podName, write);
      write(subscription.current);
      return {
        layers: [secrets, views.get(podName)!],
        onChange: (listener) => secrets.onChange((touched) => listener(secrets, touched)),
        release: subscription.stop,
      };
    },
    nacked: (_proxy, type, names, message) => {
      throw new Error(`${type} ${names.join()}: ${message}`);
    },
  };
  const serving = async () => {
    const issued = await authority.issue({ dnsNames: ["localhost"] }, 3600);
    return { ...issued, certificateChainPem: issued.certificateChainPem + authority.crossCertificatesPem() };
  };
  let connected = 0;
  const start = async (port: number) =>
    startXdsServer({
      host: "127.0.0.1",
      port,
      authenticate: async (token) => ({ namespace: "shop", podName: token, podUid: token, serviceAccount: token }),
      configuration,
      certificate: await serving(),
      logger: pino({ level: "silent" }),
      observe: {
        connected: (count) => {
          connected = count;
        },
        pushed: () => {},
        acked: () => {},
        nacked: () => {},
        refused: () => {},
      },
    });
  return { certificates, start, connected: () => connected };
};

for (const [what, makeCacerts] of [
  ["a root of the operator's", makeSecret],
  ["an intermediate of cert-manager's", makeCertManagerSecret],
] as const)
  rotation(
    `no request fails when ${what} takes over, and proxies that know the earlier root connect anew`,
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
      const undo: (() => Promise<void>)[] = [async () => rmSync(folder, { recursive: true })];
      try {
        const authority = await openLiveAuthority({
          store: createMemorySecrets(),
          trustDomain,
          overlapMilliseconds: 600_000,
          distributionMilliseconds: 500,
          failed: (error) => assert.unreachable(error.message),
        });
        undo.push(authority.stop);
        const rootsPem = authority.rootsPem;
        const ports = { callee: await freePort(), caller: await freePort() };
        const views = new Map([
          ["callee", listenerView(ports.callee, { directResponse: { status: 200 } }, true)],
          ["caller", callerView(ports.caller, ports.callee)],
        ]);
        const { certificates, start, connected } = await startPlane(authority, views);
        let server = await start(0);
        undo.push(() => server.stop());
        authority.onChange((change) => (change === "trust" ? certificates.trustChanged() : certificates.reissue(1000)));
        const envoys: ReturnType<typeof startEnvoy>[] = [];
        for (const name of ["callee", "caller"]) {
          const adminPort = await freePort();
          const envoy = startEnvoy({ folder, name, adminPort, xdsPort: server.port, rootsPem, token: name });
          undo.push(envoy.stop);
          envoys.push(envoy);
        }
        const call = async (): Promise<number> => (await fetch(`http://127.0.0.1:${ports.caller}/`)).status;
        await eventually("the first answer", async () => (await call()) === 200).catch((error: Error) => {
          throw new Error(`${error.message}\n${envoys.map(({ log }) => log()).join("\n")}`);
        });
        const serials = async (): Promise<readonly string[]> =>
          Promise.all(
            envoys.map(
              async ({ admin }) =>
                /"cert_chain"[\s\S]*?"serial_number": "(\w+)"/.exec(await admin("/certs"))?.[1] ?? "",
            ),
          );
        const before = await serials();

        const statuses = new Map<number, number>();
        let isOver = false;
        const load = async (): Promise<void> => {
          while (!isOver) {
            const status = await call();
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
          }
        };
        const loads = [load(), load(), load()];
        authority.secretChanged("cacerts", await makeCacerts());
        await eventually("both proxies have a certificate of the new root", async () => {
          const now = await serials();
          return now.every((serial, index) => serial !== "" && serial !== before[index]);
        });
        const sum = (): number => [...statuses.values()].reduce((total, count) => total + count, 0);
        const then = sum();
        await eventually("a hundred requests more", () => sum() > then + 100);
        isOver = true;
        await Promise.all(loads);
        assert.equal([...statuses.keys()], [200], JSON.stringify([...statuses]));

        // A heddled that starts now has a serving certificate of the new root; the proxies' file holds the earlier one.
        const { port } = server;
        await server.stop();
        await eventually("both streams have ended", () => connected() === 0);
        server = await start(port);
        await eventually("both proxies are connected again", () => connected() === 2, 20);
        assert.is(await call(), 200);
      } finally {
        for (const step of undo.reverse()) await step();
      }
    },
  );

rotation.run();
