import { spawn } from "node:child_process";
import { join as joinPath } from "node:path";
import { createInterface } from "node:readline";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fingerprintOf, type SecretStore } from "../../src/identity/authority.js";
import type { SecretData } from "../../src/identity/authority-secret.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { createRotationDriver } from "../../src/main/certificates/driver.js";
import type { Phase, ReplicaReport } from "../../src/main/certificates/state.js";
import { echoPod, echoPorts, join, service } from "./support/manifests.js";
import { eventually, type Mesh, startMesh } from "./support/mesh.js";

/**
 * Load through real Envoys while certificates that live twelve seconds are renewed, and while the root is rotated through
 * all its phases: no request fails, no connection is reset, no handshake is refused, nothing is retried.
 */
interface Context {
  mesh: Mesh;
  store: SecretStore;
  secret: SecretData | undefined;
}

const lifetimeSeconds = 12;
const load = suite<Context>("rotation under load");

load.before(async (context) => {
  const memory = createMemorySecrets();
  context.store = {
    ...memory,
    update: async (name, change) => {
      await memory.update(name, change);
      const data = await memory.read(name);
      if (name === "istio-ca-secret") context.secret = data;
      context.mesh?.plane.authority.secretChanged(name, data);
    },
  };
  const fresh = JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name: "fresh", namespace: "default" },
    spec: {
      host: "fresh.default.svc.cluster.local",
      trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } },
    },
  });
  context.mesh = await startMesh({
    secrets: context.store,
    rotation: {
      distributionMilliseconds: 1000,
      reissueMilliseconds: 2000,
      workloadLifetimeSeconds: lifetimeSeconds,
      rootLifetimeMilliseconds: 3_600_000,
      overlapMilliseconds: (lifetimeSeconds + 2) * 1000,
    },
    yaml: join(
      echoPod("client", "client"),
      echoPod("server-1", "server"),
      echoPod("server-2", "server"),
      service("server", echoPorts),
      // The same pods by another name, to which each request goes on a connection, and so a handshake, of its own.
      service("fresh", echoPorts, { selector: { app: "server" } }),
      fresh,
    ),
  });
  context.secret = await context.store.read("istio-ca-secret");
});
load.after(({ mesh }) => mesh?.close());

const clusterIp = (mesh: Mesh, name: string): string => mesh.service("default", name).spec?.clusterIP ?? "";

/** A connection that is held; `end` tells how it went. */
const hold = async (mesh: Mesh) => {
  const { network } = mesh.pod("client");
  const program = joinPath(import.meta.dirname, "support/held-connection.ts");
  const words = [process.execPath, "--disable-warning=ExperimentalWarning", program, clusterIp(mesh, "server"), "7070"];
  const [command = "", ...rest] = network.wrap(words, { uid: 65534, gid: 65534 });
  const child = spawn(command, rest, { stdio: ["pipe", "pipe", "inherit"] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const ended = new Promise((resolve) => child.once("close", resolve));
  await eventually("the held connection is open", async () => lines[0] === "open");
  return async (): Promise<{ readonly sent: number; readonly received: number; readonly error?: string }> => {
    child.stdin.end();
    await ended;
    return JSON.parse(lines.at(-1)!);
  };
};

/** Sends without pause until told to end; gives the number of requests and what went wrong. */
const send = (mesh: Mesh) => {
  let isOver = false;
  let count = 0;
  const faults = new Map<string, number>();
  const keep = async (name: string, protocol: "http1" | "http2", newConnections: boolean): Promise<void> => {
    const url = `http://${name}.default.svc.cluster.local:${protocol === "http1" ? 80 : 81}/`;
    while (!isOver)
      for (const { status, error } of await mesh.call("client", url, {
        protocol,
        newConnections,
        count: 20,
        concurrency: 2,
      })) {
        count += 1;
        if (status === 200 && error === undefined) continue;
        const fault = `${name} ${protocol}: ${status} ${error ?? ""}`;
        faults.set(fault, (faults.get(fault) ?? 0) + 1);
      }
  };
  const running = [
    keep("server", "http1", false),
    keep("server", "http2", false),
    keep("fresh", "http1", true),
    keep("fresh", "http2", false),
  ];
  return {
    count: () => count,
    end: async () => {
      isOver = true;
      await Promise.all(running);
      return { count, faults: Object.fromEntries(faults) };
    },
  };
};

const serials = async (mesh: Mesh, pod: string): Promise<string> =>
  /"cert_chain"[\s\S]*?"serial_number": "(\w+)"/.exec(await mesh.admin(pod, "/certs"))?.[1] ?? "";

/** What Envoy itself has counted of failures, where a retry would have hidden them from the client. */
const hidden =
  /ssl\.(connection_error|fail_verify\w*)|upstream_rq_(retry|rx_reset|tx_reset)|upstream_cx_connect_fail|upstream_cx_destroy_(local|remote)_with_active_rq|http1\.\w*reset/;
const failures = async (mesh: Mesh): Promise<Readonly<Record<string, number>>> =>
  Object.fromEntries(
    await Promise.all(
      ["client", "server-1", "server-2"].map(async (pod) => [pod, await mesh.stat(pod, hidden)] as const),
    ),
  );

/** The phases that the rotation goes through until the earlier root is dropped. */
const rotate = async (context: Context): Promise<readonly Phase[]> => {
  const { store } = context;
  const { authority, holdings } = context.mesh.plane;
  const report = (): ReplicaReport => ({
    ...holdings.summary(),
    roots: authority.trustedRoots().map(({ pem }) => fingerprintOf(pem)),
    written: true,
  });

  const driver = createRotationDriver({
    authority,
    store,
    trustDomain: "cluster.local",
    workloads: "heddled",
    mayDrive: () => true,
    secret: () => context.secret,
    replicas: () => ["heddled"],
    reports: () => new Map([["heddled", report()]]),
    request: () => "test",
    unwanted: () => undefined,
    answered: () => {},
    told: () => {},
    failed: (error) => assert.unreachable(error.message),
    rootLifetimeMilliseconds: 3_600_000,
    rotateBeforeMilliseconds: 60_000,
    settleMilliseconds: 1000,
    tickMilliseconds: 50,
  });
  const seen: Phase[] = [];
  try {
    await eventually(
      "the earlier root is dropped",
      async () => {
        const phase = driver.status()?.phase;
        if (phase !== undefined && phase !== seen.at(-1)) seen.push(phase);
        return seen.length > 1 && phase === "none" ? true : (driver.status()?.waitingFor ?? seen);
      },
      60,
    );
    return seen;
  } finally {
    await driver.stop();
  }
};

load("certificates are renewed and the root is rotated, and nothing fails, is reset or is retried", async (context) => {
  const { mesh } = context;
  const pods = ["client", "server-1", "server-2"];
  const before = await failures(mesh);
  const [root, first] = [mesh.plane.authority.rootPem, await Promise.all(pods.map((pod) => serials(mesh, pod)))];
  const end = await hold(mesh);
  const traffic = send(mesh);

  const renewed = pods.map(() => new Set<string>());
  await eventually(
    "each certificate is renewed twice",
    async () => {
      for (const [at, pod] of pods.entries()) renewed[at]!.add(await serials(mesh, pod));
      return renewed.every(({ size }) => size >= 3) || renewed.map(({ size }) => size);
    },
    60,
  );
  const atRotation = traffic.count();
  const phases = await rotate(context);
  const last = await Promise.all(pods.map((pod) => serials(mesh, pod)));
  const { count, faults } = await traffic.end();
  const held = await end();

  assert.equal(faults, {});
  assert.is(held.error, undefined);
  assert.is(held.received, held.sent);
  assert.ok(held.sent > 500, `${held.sent} lines on the held connection`);
  assert.ok(atRotation > 500 && count - atRotation > 500, `${atRotation} requests, then ${count - atRotation}`);
  assert.equal(phases, ["distributing", "reissuing", "retiring", "none"]);
  for (const [at, serial] of last.entries()) assert.is.not(serial, first[at]);
  assert.is.not(mesh.plane.authority.rootPem, root);
  assert.not(mesh.plane.authority.rootsPem.includes(root), "the earlier root is trusted no more");
  assert.equal(await failures(mesh), before);
  console.error(`# ${count} requests, ${held.sent} lines on one connection`);
});

load.run();
