import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as after } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Bootstrap, BootstrapSchema } from "../../../src/proto/envoy/config/bootstrap/v3/bootstrap_pb.js";
import {
  type Cluster,
  Cluster_DiscoveryType,
  ClusterSchema,
} from "../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import { AddressSchema } from "../../../src/proto/envoy/config/core/v3/address_pb.js";
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
} from "../../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../../src/proto/envoy/config/listener/v3/listener_pb.js";

/** Envoy alone, on loopback, with a configuration that stands fixed: no namespaces, no control plane. */
export interface LoopbackEnvoy {
  /** Port that a listener of the configuration was given. */
  readonly port: (listener: string) => number;
  /** Value of a counter or gauge; 0 if there is none. */
  readonly stat: (name: string) => Promise<number>;
  readonly stop: () => Promise<void>;
}

const envoy = fileURLToPath(new URL("../../../.cache/tools/bin/envoy", import.meta.url));
const startDeadlineMilliseconds = 20_000;

const loopback = (port = 0) =>
  create(AddressSchema, {
    address: {
      case: "socketAddress",
      value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: port } },
    },
  });

/** A listener on a free port of 127.0.0.1. */
export const loopbackListener = (name: string, filterChains: readonly (readonly Filter[] | FilterChain)[]): Listener =>
  create(ListenerSchema, {
    name,
    address: loopback(),
    filterChains: filterChains.map((chain) =>
      Array.isArray(chain)
        ? create(FilterChainSchema, { filters: [...(chain as readonly Filter[])] })
        : (chain as FilterChain),
    ),
  });

/** A cluster of servers on 127.0.0.1; none for one whose requests have nowhere to go. */
export const loopbackCluster = (name: string, ports: readonly number[]): Cluster =>
  create(ClusterSchema, {
    name,
    clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: { seconds: 1n },
    // As the mesh has them: Envoy's own limit of 3 retries at a time would show in every test of retries.
    circuitBreakers: { thresholds: [{ maxRetries: 1_000_000, maxRequests: 1_000_000, maxPendingRequests: 1_000_000 }] },
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: ports.map((port) => ({
            hostIdentifier: { case: "endpoint" as const, value: { address: loopback(port) } },
          })),
        },
      ],
    },
  });

interface StaticResources {
  readonly listeners: readonly Listener[];
  readonly clusters: readonly Cluster[];
}

const bootstrapOf = ({ listeners, clusters }: StaticResources): Bootstrap =>
  create(BootstrapSchema, {
    node: { id: "loopback", cluster: "loopback" },
    admin: { address: loopback() },
    layeredRuntime: {
      layers: [
        {
          name: "mesh",
          layerSpecifier: { case: "staticLayer", value: { "re2.max_program_size.error_level": 32768 } },
        },
      ],
    },
    staticResources: { listeners: [...listeners], clusters: [...clusters] },
  });

const written = async (resources: StaticResources): Promise<{ readonly folder: string; readonly file: string }> => {
  const folder = await mkdtemp(join(tmpdir(), "loopback-envoy-"));
  const file = join(folder, "bootstrap.pb");
  await writeFile(file, toBinary(BootstrapSchema, bootstrapOf(resources)));
  return { folder, file };
};

const commonArguments = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"];

/** What the real Envoy says against a configuration; "" if it takes it. */
export const refusalOf = async (resources: StaticResources): Promise<string> => {
  const { folder, file } = await written(resources);
  try {
    await promisify(execFile)(envoy, ["--mode", "validate", "-c", file, ...commonArguments], { timeout: 120_000 });
    return "";
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string };
    return `${stderr}${stdout}`.trim() || message;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });

interface ListenerStatus {
  readonly name: string;
  readonly local_address: { readonly socket_address: { readonly port_value: number } };
}

/** Starts Envoy and waits until it takes requests. */
export const startLoopbackEnvoy = async (resources: StaticResources): Promise<LoopbackEnvoy> => {
  const { folder, file } = await written(resources);
  const adminFile = join(folder, "admin");
  const options = ["-c", file, "--admin-address-path", adminFile, "--file-flush-interval-msec", "100"];
  const child = spawn(envoy, [...options, ...commonArguments], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    log += chunk.toString("utf8");
  });
  child.once("error", (error) => {
    log += error.message;
  });
  const endAtExit = (): void => {
    child.kill("SIGKILL");
  };
  process.once("exit", endAtExit);
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended(child);
    process.removeListener("exit", endAtExit);
    await rm(folder, { recursive: true, force: true });
  };
  const admin = async (path: string): Promise<Response> => {
    const address = (await readFile(adminFile, "utf8")).trim();
    if (address === "") throw new Error("the admin interface has no address yet");
    return fetch(`http://${address}${path}`);
  };
  const deadline = Date.now() + startDeadlineMilliseconds;
  for (;;) {
    const isReady = await admin("/ready").then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) break;
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`Envoy does not start: ${log}`);
    }
    await after(20);
  }
  const { listener_statuses: statuses } = (await (await admin("/listeners?format=json")).json()) as {
    readonly listener_statuses: readonly ListenerStatus[];
  };
  const ports = new Map(statuses.map(({ name, local_address }) => [name, local_address.socket_address.port_value]));
  return {
    port: (listener) => {
      const port = ports.get(listener);
      if (port === undefined) throw new Error(`no listener ${listener}`);
      return port;
    },
    stat: async (name) => {
      const filter = `^${name.replace(/[.|*+?()[\]{}^$\\]/g, "\\$&")}$`;
      const { stats } = (await (await admin(`/stats?format=json&filter=${encodeURIComponent(filter)}`)).json()) as {
        readonly stats: readonly { readonly name?: string; readonly value?: number }[];
      };
      return stats.find((stat) => stat.name === name)?.value ?? 0;
    },
    stop,
  };
};

/** A server of the test's own on a free port of 127.0.0.1. */
export interface Origin {
  readonly port: number;
  /** Requests so far, in order. */
  readonly requests: readonly IncomingMessage[];
  readonly stop: () => Promise<void>;
}

export const startOrigin = async (
  handle: (request: IncomingMessage, response: ServerResponse, count: number) => void,
): Promise<Origin> => {
  const requests: IncomingMessage[] = [];
  const server: Server = createServer((request, response) => {
    requests.push(request);
    handle(request, response, requests.length);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
