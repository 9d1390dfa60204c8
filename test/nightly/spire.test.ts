import { X509Certificate } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, echoPorts, join, service } from "../component/support/manifests.js";
import { eventually, type Mesh, reportOf, startMesh } from "../component/support/mesh.js";
import { type Spire, startSpire } from "./support/spire.js";

/** Two pods whose proxies have their certificates from a real SPIRE agent; heddled gives them everything else. */
interface Context {
  spire: Spire;
  mesh: Mesh;
}

const trustDomain = "cluster.local";
const lifetimeSeconds = 20;
const users = { client: 1401, server: 1402 } as const;
const idOf = (account: string): string => `spiffe://${trustDomain}/ns/default/sa/${account}`;
/** The agent of this test tells pods by the user of their proxy. */
const proxyAs = (user: number): object => ({
  initContainers: [
    {
      name: "istio-proxy",
      image: "auto",
      securityContext: { runAsUser: user, runAsGroup: user },
      restartPolicy: "Always",
    },
  ],
});

const strict = JSON.stringify({
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "default", namespace: "istio-system" },
  spec: { mtls: { mode: "STRICT" } },
});
/** Each request on a connection, and so a handshake, of its own. */
const fresh = JSON.stringify({
  apiVersion: "networking.istio.io/v1",
  kind: "DestinationRule",
  metadata: { name: "server", namespace: "default" },
  spec: {
    host: "server.default.svc.cluster.local",
    trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } },
  },
});

const spire = suite<Context>("certificates from SPIRE");

spire.before(async (context) => {
  context.spire = await startSpire(
    trustDomain,
    Object.entries(users).map(([account, user]) => ({ user, spiffeId: idOf(account), lifetimeSeconds })),
  );
  context.mesh = await startMesh({
    mesh: { trustDomain, spire: { nodeFolder: "" } },
    files: new Map([["/run/secrets/workload-spiffe-uds", context.spire.socketFolder]]),
    yaml: join(
      strict,
      fresh,
      echoPod("client", "client", { spec: proxyAs(users.client) }),
      echoPod("server", "server", { spec: proxyAs(users.server) }),
      service("server", echoPorts),
    ),
  });
});
spire.after(async (context) => {
  await context.mesh?.close();
  await context.spire?.close();
});

const url = "http://server.default.svc.cluster.local/";

spire("mutual TLS by SPIFFE ids of SPIRE", async ({ mesh }) => {
  const [response] = await mesh.call("client", url);
  const { headers } = reportOf(response);
  const peers = headers["x-forwarded-client-cert"] ?? "";
  assert.match(peers, `By=${idOf("server")}`);
  assert.match(peers, `URI=${idOf("client")}`);
});

spire("what the server shows on the wire is signed by SPIRE's authority, not by heddled's", async (context) => {
  const { mesh, spire: agent } = context;
  const { address } = mesh.pod("server");
  // As the proxy's user, whose traffic is not redirected; without a client certificate, so that only the answer is seen.
  const script = `openssl s_client -connect ${address}:8080 -alpn istio -CAfile ${agent.bundleFile} </dev/null 2>&1 || true`;
  const user = String(users.client);
  const seen = await mesh.exec(
    "client",
    "setpriv",
    "--reuid",
    user,
    "--regid",
    user,
    "--clear-groups",
    "sh",
    "-c",
    script,
  );
  assert.match(seen, /Verify return code: 0 \(ok\)/);
  const shown = new X509Certificate(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(seen)?.[0] ?? "");
  assert.is(shown.subjectAltName, `URI:${idOf("server")}`);
  assert.ok(shown.verify(new X509Certificate(agent.bundlePem).publicKey));
  assert.not.ok(shown.verify(new X509Certificate(mesh.plane.authority.rootPem).publicKey));
  assert.equal(mesh.plane.holdings.list(), []);
});

const serialOf = async (mesh: Mesh, pod: string): Promise<string> =>
  /"cert_chain"[\s\S]*?"serial_number": "(\w+)"/.exec(await mesh.admin(pod, "/certs"))?.[1] ?? "";

spire("short-lived certificates are renewed under load, and no request fails", async ({ mesh }) => {
  const pods = Object.keys(users);
  const seen = new Map(pods.map((pod) => [pod, new Set<string>()]));
  let isOver = false;
  let count = 0;
  const faults: string[] = [];
  const load = (async () => {
    while (!isOver)
      for (const { status, error } of await mesh.call("client", url, {
        count: 20,
        concurrency: 2,
        newConnections: true,
      })) {
        count += 1;
        if (status !== 200 || error !== undefined) faults.push(`${status} ${error ?? ""}`);
      }
  })();
  try {
    const haveRenewed = async (): Promise<boolean> => {
      for (const pod of pods) seen.get(pod)?.add(await serialOf(mesh, pod));
      return [...seen.values()].every((serials) => serials.size >= 3);
    };
    await eventually("both proxies have been given two further certificates", haveRenewed, 120);
  } finally {
    isOver = true;
    await load;
  }
  assert.equal(faults, []);
  assert.ok(count > 100, `${count} requests`);
});

spire("a proxy for which SPIRE has no entry is not ready", async ({ mesh }) => {
  const outcome = await mesh.apply(echoPod("stranger", "stranger")).then(
    () => "ready",
    (error: Error) => error.message,
  );
  assert.match(outcome, "is not ready");
});

spire.run();
