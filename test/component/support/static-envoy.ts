import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { type Bootstrap, BootstrapSchema } from "../../../src/proto/envoy/config/bootstrap/v3/bootstrap_pb.js";
import {
  type Cluster,
  Cluster_EdsClusterConfigSchema,
  ClusterSchema,
} from "../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import {
  ApiConfigSource_ApiType,
  ApiVersion,
  PathConfigSourceSchema,
} from "../../../src/proto/envoy/config/core/v3/config_source_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../../src/proto/envoy/config/endpoint/v3/endpoint_pb.js";
import type { Filter } from "../../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import type { RouteAction_HashPolicySchema } from "../../../src/proto/envoy/config/route/v3/route_components_pb.js";
import { RouterSchema } from "../../../src/proto/envoy/extensions/filters/http/router/v3/router_pb.js";
import { TlsInspectorSchema } from "../../../src/proto/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import {
  HttpConnectionManagerSchema,
  type HttpFilter,
} from "../../../src/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { TcpProxySchema } from "../../../src/proto/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { DiscoveryResponseSchema } from "../../../src/proto/envoy/service/discovery/v3/discovery_pb.js";
import { type MeshSecrets, withFileSecrets, writeSecrets } from "./file-secrets.js";

/** A real Envoy on loopback with clusters of its own and a listener before each, for what they do to traffic. */

const deadlineMilliseconds = 20_000;

/** A cluster, and what reaches it: HTTP with the hash policies that its routes have, or TCP. */
export interface Proxied {
  readonly cluster: Cluster;
  readonly assignment?: ClusterLoadAssignment | undefined;
  readonly hashPolicies?: readonly MessageInitShape<typeof RouteAction_HashPolicySchema>[];
  readonly tcp?: MessageInitShape<typeof TcpProxySchema>;
  /** Before the router. */
  readonly httpFilters?: readonly HttpFilter[];
  /** Before the TCP proxy, once the TLS handshake has told the server's name. */
  readonly sniFilters?: readonly Filter[];
}

export interface StaticEnvoy {
  /** Port of the listener before the cluster of this name. */
  readonly portOf: (cluster: string) => number;
  /** One counter or gauge of the cluster of this name; 0 if there is none. */
  readonly stat: (cluster: string, name: string) => Promise<number>;
  /** The cluster of this name as Envoy understood it. */
  readonly understood: (cluster: string) => Promise<unknown>;
  /** Replaces the endpoints of a cluster and waits until Envoy has them. */
  readonly assign: (assignment: ClusterLoadAssignment) => Promise<void>;
  readonly stop: () => Promise<void>;
}

const loopback = (portValue: number) => ({
  address: {
    case: "socketAddress" as const,
    value: { address: "127.0.0.1", portSpecifier: { case: "portValue" as const, value: portValue } },
  },
});

const statNameOf = (cluster: string): string => cluster.replaceAll(":", "_");

const listenerOf = ({ cluster, hashPolicies, tcp, httpFilters = [], sniFilters = [] }: Proxied) => ({
  name: cluster.name,
  address: loopback(0),
  listenerFilters:
    sniFilters.length === 0
      ? []
      : [
          {
            name: "tls",
            configType: {
              case: "typedConfig" as const,
              value: anyPack(TlsInspectorSchema, create(TlsInspectorSchema)),
            },
          },
        ],
  filterChains: [
    {
      filters: [
        ...sniFilters,
        tcp === undefined
          ? {
              name: "http",
              configType: {
                case: "typedConfig" as const,
                value: anyPack(
                  HttpConnectionManagerSchema,
                  create(HttpConnectionManagerSchema, {
                    statPrefix: "in",
                    routeSpecifier: {
                      case: "routeConfig",
                      value: {
                        virtualHosts: [
                          {
                            name: "all",
                            domains: ["*"],
                            routes: [
                              {
                                match: { pathSpecifier: { case: "prefix", value: "/" } },
                                action: {
                                  case: "route",
                                  value: {
                                    clusterSpecifier: { case: "cluster", value: cluster.name },
                                    hashPolicy: [...(hashPolicies ?? [])],
                                    timeout: { seconds: 0n },
                                  },
                                },
                              },
                            ],
                          },
                        ],
                      },
                    },
                    httpFilters: [
                      ...httpFilters,
                      {
                        name: "envoy.filters.http.router",
                        configType: { case: "typedConfig", value: anyPack(RouterSchema, create(RouterSchema)) },
                      },
                    ],
                  }),
                ),
              },
            }
          : {
              name: "tcp",
              configType: {
                case: "typedConfig" as const,
                value: anyPack(
                  TcpProxySchema,
                  create(TcpProxySchema, {
                    ...(tcp as object),
                    statPrefix: "in",
                    clusterSpecifier: { case: "cluster", value: cluster.name },
                  }),
                ),
              },
            },
      ],
    },
  ],
});

/** A control plane that nobody runs: what is asked of it counts as configured, and never comes. */
const unreachable = create(ClusterSchema, { name: "unreachable", connectTimeout: { seconds: 1n } });

/** The same cluster, told its endpoints and secrets by files in place of the stream. */
const withFiles = (original: Cluster, folder: string): Cluster => {
  const cluster = withFileSecrets(original, folder);
  if (cluster.edsClusterConfig === undefined) return cluster;
  const path = assignmentFile(folder, cluster.name);
  const edsClusterConfig = create(Cluster_EdsClusterConfigSchema, {
    serviceName: cluster.name,
    edsConfig: {
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: { case: "pathConfigSource", value: create(PathConfigSourceSchema, { path }) },
    },
  });
  return Object.assign(cluster, { edsClusterConfig });
};

const bootstrapOf = (proxied: readonly Proxied[], folder: string): Bootstrap =>
  create(BootstrapSchema, {
    node: { id: "test", cluster: "test" },
    admin: { address: loopback(0) },
    dynamicResources: {
      adsConfig: {
        apiType: ApiConfigSource_ApiType.GRPC,
        transportApiVersion: ApiVersion.V3,
        grpcServices: [{ targetSpecifier: { case: "envoyGrpc", value: { clusterName: "unreachable" } } }],
      },
    },
    staticResources: {
      clusters: [unreachable, ...proxied.map(({ cluster }) => withFiles(cluster, folder))],
      listeners: proxied.map(listenerOf),
    },
  });

const assignmentFile = (folder: string, cluster: string): string =>
  join(folder, `${cluster.replaceAll(/[^a-z0-9]/gi, "-")}.pb`);

const writeAssignment = (folder: string, assignment: ClusterLoadAssignment, version: number): void => {
  const file = assignmentFile(folder, assignment.clusterName);
  const response = create(DiscoveryResponseSchema, {
    versionInfo: String(version),
    resources: [anyPack(ClusterLoadAssignmentSchema, assignment)],
  });
  writeFileSync(`${file}.new.pb`, toBinary(DiscoveryResponseSchema, response));
  renameSync(`${file}.new.pb`, file);
};

const prepare = (
  proxied: readonly Proxied[],
  secrets: MeshSecrets,
): { readonly folder: string; readonly file: string } => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-envoy-"));
  writeSecrets(folder, secrets);
  for (const { cluster, assignment } of proxied)
    writeAssignment(folder, assignment ?? create(ClusterLoadAssignmentSchema, { clusterName: cluster.name }), 1);
  const file = join(folder, "bootstrap.pb");
  writeFileSync(file, toBinary(BootstrapSchema, bootstrapOf(proxied, folder)));
  return { folder, file };
};

/** What Envoy has against these clusters, "" if nothing. */
export const objectionsTo = async (proxied: readonly Proxied[], secrets: MeshSecrets): Promise<string> => {
  const { folder, file } = prepare(proxied, secrets);
  try {
    return await new Promise((resolve) => {
      const options = ["--mode", "validate", "--log-level", "error", "-c", file];
      execFile("envoy", options, { maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
        resolve(error === null ? "" : `${stdout}\n${stderr}`.slice(-4000)),
      );
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** Asks again until there is an answer; fails with the last error after the deadline. */
export const eventually = async <Value>(what: () => Promise<Value>): Promise<Value> => {
  const end = performance.now() + deadlineMilliseconds;
  for (;;) {
    try {
      return await what();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
};

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });

export const startStaticEnvoy = async (proxied: readonly Proxied[], secrets: MeshSecrets): Promise<StaticEnvoy> => {
  const { folder, file } = prepare(proxied, secrets);
  const adminFile = join(folder, "admin");
  const options = ["-c", file, "--admin-address-path", adminFile, "--log-level", "error"];
  const child = spawn("envoy", [...options, "--concurrency", "1", "--use-dynamic-base-id"], { stdio: "pipe" });
  let log = "";
  child.stdout.on("data", (chunk: Buffer) => (log += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (log += chunk.toString()));
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  process.once("exit", () => child.kill("SIGKILL"));
  const ask = async (path: string): Promise<string> => {
    const response = await fetch(`http://${readFileSync(adminFile, "utf8").trim()}${path}`);
    if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.text();
  };
  const stat = async (cluster: string, name: string): Promise<number> => {
    const full = `cluster.${statNameOf(cluster)}.${name}`;
    const found = (await ask("/stats")).split("\n").find((line) => line.startsWith(`${full}: `));
    return found === undefined ? 0 : Number(found.slice(full.length + 2));
  };
  try {
    const text = await eventually(async () => {
      if (child.exitCode !== null) throw new Error(log);
      await ask("/ready");
      return await ask("/listeners?format=json");
    });
    const { listener_statuses: statuses } = JSON.parse(text) as {
      listener_statuses: { name: string; local_address: { socket_address: { port_value: number } } }[];
    };
    const ports = new Map(
      statuses.map(({ name, local_address: address }) => [name, address.socket_address.port_value]),
    );
    let version = 1;
    return {
      portOf: (cluster) => {
        const port = ports.get(cluster);
        if (port === undefined) throw new Error(`no listener for ${cluster}: ${[...ports.keys()].join()}`);
        return port;
      },
      stat,
      understood: async (cluster) => {
        const dump = JSON.parse(await ask("/config_dump?resource=static_clusters")) as {
          configs: { cluster: { name: string } }[];
        };
        return dump.configs.find((config) => config.cluster.name === cluster)?.cluster;
      },
      assign: async (assignment) => {
        const before = await stat(assignment.clusterName, "update_success");
        version += 1;
        writeAssignment(folder, assignment, version);
        await eventually(async () => {
          if ((await stat(assignment.clusterName, "update_success")) === before) throw new Error("not yet assigned");
        });
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw new Error(`Envoy did not start: ${log.slice(-4000)}`, { cause: error });
  }
};
