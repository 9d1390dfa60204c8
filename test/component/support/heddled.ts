import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ApiServer, startApiServer } from "./api-server.js";
import { createTokenIssuer } from "./tokens.js";

const project = join(import.meta.dirname, "..", "..", "..");

/** Waits until `check` gives a value that counts, at the longest `seconds`. What it throws last is told. */
export const eventually = async <Value>(
  what: string,
  check: () => Promise<Value | undefined | false> | Value | undefined | false,
  seconds = 15,
): Promise<Value> => {
  const deadline = Date.now() + seconds * 1000;
  let last = "";
  for (;;) {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = `: ${(error as Error).message}`;
    }
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}${last}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** The promise's value, unless that takes longer. */
export const within = async <Value>(what: string, promise: Promise<Value>, seconds = 15): Promise<Value> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${seconds} s: ${what}`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
};

export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });

export const values = { proxyImage: "r.example/proxy:1", initImage: "r.example/proxy:1" };

export interface HeddledPorts {
  readonly xds: number;
  readonly webhook: number;
  readonly monitoring: number;
  readonly inspection: number;
}

/** The program heddled itself, in a process of its own. */
export interface HeddledProcess {
  readonly ports: HeddledPorts;
  readonly process: ChildProcess;
  readonly log: () => string;
  readonly exited: Promise<number | null>;
  readonly metric: (line: string) => Promise<number | undefined>;
  readonly ready: () => Promise<number>;
  readonly kill: () => Promise<void>;
}

/** On an API server in memory. */
export interface RunningHeddled extends HeddledProcess {
  readonly api: ApiServer;
  readonly tokens: ReturnType<typeof createTokenIssuer>;
  readonly roots: () => string;
  readonly close: () => Promise<void>;
}

/** Starts it on a cluster, with its files in `folder`; resolves when it is ready. */
export const spawnHeddled = async (
  kubeconfig: string,
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<HeddledProcess> => {
  const ports = {
    xds: await freePort(),
    webhook: await freePort(),
    monitoring: await freePort(),
    inspection: await freePort(),
  };
  writeFileSync(join(folder, "values"), JSON.stringify(values));
  const child = spawn(process.execPath, ["--import", "tsx", join(project, "src/main/heddled.ts")], {
    cwd: project,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      ...process.env,
      KUBECONFIG: kubeconfig,
      POD_NAME: "heddled-1",
      LISTEN_HOST: "127.0.0.1",
      XDS_PORT: String(ports.xds),
      WEBHOOK_PORT: String(ports.webhook),
      MONITORING_PORT: String(ports.monitoring),
      INSPECTION_PORT: String(ports.inspection),
      MESH_FOLDER: folder,
      INJECTION_FOLDER: folder,
      TEMPLATES_FOLDER: join(project, "templates"),
      LOG_LEVEL: "debug",
      SHUTDOWN_GRACE: "0s",
      SHUTDOWN_SPREAD: "0s",
      ...environment,
    },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => {
      log += chunk.toString("utf8");
    });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const fetchText = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${ports.monitoring}${path}`);
  const ready = async (): Promise<number> => (await fetchText("/ready")).status;
  const kill = async (): Promise<void> => {
    if (child.exitCode === null) child.kill("SIGKILL");
    await exited;
  };
  try {
    await eventually(
      "heddled is ready",
      async () => {
        if (child.exitCode !== null) throw new Error(log);
        return (await ready()) === 200;
      },
      30,
    );
  } catch (error) {
    await kill();
    throw new Error(`${(error as Error).message}\n${log}`);
  }
  return {
    ports,
    process: child,
    log: () => log,
    exited,
    ready,
    kill,
    metric: async (line) => {
      const text = await (await fetchText("/metrics")).text();
      const found = text.split("\n").find((candidate) => candidate.startsWith(`${line} `));
      return found === undefined ? undefined : Number(found.slice(line.length + 1));
    },
  };
};

const configMap = (name: string, data: Readonly<Record<string, string>>) => ({
  metadata: { name, namespace: "istio-system" },
  data,
});

export const startHeddled = async (environment: Readonly<Record<string, string>> = {}): Promise<RunningHeddled> => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
  const tokens = createTokenIssuer();
  const api = await startApiServer(tokens.review);
  writeFileSync(join(folder, "kubeconfig"), api.kubeconfig);
  api.put("configmaps", configMap("istio-sidecar-injector", { values: JSON.stringify(values) }));
  api.put("configmaps", configMap("istio", { mesh: "" }));
  for (const name of ["istio-system", "shop"])
    api.put("namespaces", { metadata: { name, labels: { "istio-injection": "enabled" } } });
  const webhook = (name: string) => ({
    name,
    clientConfig: { service: { name: "heddled", namespace: "istio-system" } },
  });
  api.put("mutatingwebhookconfigurations", {
    metadata: { name: "heddle-sidecar-injector" },
    webhooks: [webhook("one.heddle.io"), webhook("two.heddle.io")],
  });
  const end = async (): Promise<void> => {
    await api.close();
    rmSync(folder, { recursive: true });
  };
  const running = await spawnHeddled(join(folder, "kubeconfig"), folder, environment).catch(async (error: Error) => {
    await end();
    throw error;
  });
  return {
    ...running,
    api,
    tokens,
    roots: () => {
      const data = api.get("configmaps", "shop", "istio-ca-root-cert")?.["data"] as { "root-cert.pem"?: string };
      return data?.["root-cert.pem"] ?? "";
    },
    close: async () => {
      await running.kill();
      await end();
    },
  };
};
