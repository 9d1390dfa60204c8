import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { pino } from "pino";
import type { ObjectEvent, Service } from "../../../src/api/kubernetes.js";
import { defaultMeshConfig, type MeshConfig } from "../../../src/api/meshconfig.js";
import { localMachine, projectFolder, templateFile } from "../../../src/cli/run/machine.js";
import { startLocalMesh } from "../../../src/cli/run/mesh.js";
import { createNetwork, type IpFamily, run } from "../../../src/cli/run/network.js";
import { readText } from "../../../src/cli/run/objects.js";
import type { RunningPod } from "../../../src/cli/run/pod.js";
import type { SecretStore } from "../../../src/identity/authority.js";
import type { ControlPlane, RotationSettings } from "../../../src/main/control-plane.js";
import type { IssuerKeySettings } from "../../../src/main/issuer-keys.js";
import { type PodClient, startClient } from "./client.js";
import type { DriverRequest, DriverResponse } from "./driver.js";

export type { DriverResponse as Response } from "./driver.js";

export interface MeshOptions {
  /** Kubernetes YAML. Namespaces that it does not declare are labelled for injection; images: see `localMachine`. */
  readonly yaml: string;
  /** IPv4 and IPv6; IPv4 alone if left out. */
  readonly dualStack?: boolean;
  readonly families?: readonly IpFamily[];
  readonly mesh?: Partial<MeshConfig>;
  /** Names outside of the mesh that pods can resolve. Hosts of ServiceEntries resolve anyway. */
  readonly hosts?: Readonly<Record<string, string>>;
  /** How the keys of token issuers are fetched. */
  readonly issuerKeys?: IssuerKeySettings;
  readonly secrets?: SecretStore;
  readonly rotation?: RotationSettings;
  /** What stands for paths in containers, beside the images' own files. */
  readonly files?: ReadonlyMap<string, string>;
}

/** What the sample application tells of a request that reached it. */
export interface Report {
  readonly pod: string;
  readonly version: string;
  readonly method: string;
  readonly path: string;
  readonly protocol: string;
  readonly peer: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Throws if it is not the sample application that has answered. */
export const reportOf = (response: DriverResponse | undefined): Report => {
  if (response?.status !== 200) throw new Error(`no report: ${response?.status} ${response?.error ?? response?.body}`);
  return JSON.parse(response.body) as Report;
};

/** An address as a URL has it. */
export const bracketed = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** `body` of tcp and udp URLs is what is sent; without one, what the server says first is the answer. */
export type CallOptions = Partial<Omit<DriverRequest, "url">>;

/** Pods are named `name`, or `namespace/name` where that is not unique. */
export interface Mesh {
  /** By `namespace/name`. */
  readonly pods: ReadonlyMap<string, RunningPod>;
  readonly plane: ControlPlane;
  readonly pod: (name: string) => RunningPod;
  /** As it was applied, with the addresses that it was given. */
  readonly service: (namespace: string, name: string) => Service;
  /** Resolves when new pods are ready and every proxy holds what this changed. Throws if a proxy refuses it. */
  readonly apply: (yaml: string) => Promise<void>;
  /** A pod leaves gracefully, after its proxy's drain. */
  readonly remove: (kind: string, namespace: string, name: string) => Promise<void>;
  /** Ends a pod's processes at once, as a crash would; the kubelet notices after a second. */
  readonly kill: (pod: string) => Promise<void>;
  /** From inside of the pod: `http`, `https`, `grpc`, `tcp`, `tls` and `udp` URLs. Never throws for what the network did. */
  readonly call: (pod: string, url: string, options?: CallOptions) => Promise<readonly DriverResponse[]>;
  /** A program in the pod's network, as root; its standard output. */
  readonly exec: (pod: string, program: string, ...args: readonly string[]) => Promise<string>;
  /** The answer of the proxy's admin interface: `/config_dump`, `/clusters`, `/stats?filter=…`. */
  readonly admin: (pod: string, path: string) => Promise<string>;
  /** One number of the proxy's statistics, summed over those that match. */
  readonly stat: (pod: string, name: RegExp) => Promise<number>;
  /** The conditions of a resource of the configuration API, as `type status reason: message`. */
  readonly conditions: (kind: string, namespace: string, name: string) => readonly string[];
  /** What the control plane has logged at level `warn` and above. */
  readonly log: () => string;
  readonly close: () => Promise<void>;
}

const defaults: Omit<DriverRequest, "url"> = {
  protocol: "http1",
  method: "GET",
  headers: {},
  body: "",
  count: 1,
  concurrency: 8,
  newConnections: false,
  timeoutMilliseconds: 10_000,
};

const labelled = (name: string): ObjectEvent => ({
  kind: "Namespace",
  namespace: "",
  name,
  object: { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { "istio-injection": "enabled" } } },
});

/** Tells when the condition holds; throws what was seen last after the deadline. */
export const eventually = async (what: string, condition: () => Promise<unknown>, seconds = 15): Promise<void> => {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const seen = await Promise.resolve(condition()).catch((error: Error) => error);
    if (seen === true) return;
    if (Date.now() > deadline)
      throw new Error(
        `${what}: not so after ${seconds} s; last seen: ${seen instanceof Error ? seen.message : JSON.stringify(seen)}`,
      );
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

/** A control plane in this process and pods in network namespaces, with their real proxies. Needs root. */
export const startMesh = async (options: MeshOptions): Promise<Mesh> => {
  const undo: (() => Promise<unknown>)[] = [];
  const clients = new Map<RunningPod, PodClient>();
  let log = "";
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      log += chunk.toString("utf8");
      done();
    },
  });
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      process.off("SIGINT", interrupted);
      process.off("SIGTERM", interrupted);
      const faults: unknown[] = [];
      for (const step of undo.reverse()) await step().catch((error: unknown) => faults.push(error));
      if (faults.length > 0) throw new AggregateError(faults, "the mesh did not end well");
    })();
    return closing;
  };
  const interrupted = (): void => void close().finally(() => process.exit(130));
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);

  try {
    const folder = await mkdtemp(join(tmpdir(), "heddle-mesh-"));
    undo.push(() => rm(folder, { recursive: true, force: true }));
    await chmod(folder, 0o755);
    const network = await createNetwork(options.families ?? (options.dualStack ? ["IPv4", "IPv6"] : ["IPv4"]));
    undo.push(network.close);
    const machine = localMachine(join(projectFolder, ".cache/tools/bin/envoy"));
    const local = await startLocalMesh({
      mesh: { ...defaultMeshConfig, ...options.mesh },
      network,
      folder,
      machine: { ...machine, files: new Map([...machine.files, ...(options.files ?? [])]) },
      templateFile,
      logger: pino({ level: "warn" }, sink),
      ...(options.hosts === undefined ? {} : { hosts: options.hosts }),
      ...(options.issuerKeys === undefined ? {} : { issuerKeys: options.issuerKeys }),
      ...(options.secrets === undefined ? {} : { secrets: options.secrets }),
      ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
    });
    undo.push(local.close);
    undo.push(() => Promise.all([...clients.values()].map((client) => client.close())));

    const pod = (name: string): RunningPod => {
      const found = [...local.pods].filter(([key]) => key === name || key.endsWith(`/${name}`));
      if (found.length !== 1)
        throw new Error(`${name}: names ${found.length} pods of ${[...local.pods.keys()].join(", ")}`);
      return found[0]![1];
    };
    const clientOf = (running: RunningPod): PodClient => {
      const client = clients.get(running) ?? startClient(running);
      clients.set(running, client);
      return client;
    };
    const call: Mesh["call"] = (name, url, given = {}) => clientOf(pod(name)).send({ ...defaults, ...given, url });
    const admin: Mesh["admin"] = async (name, path) => {
      const [answer] = await call(name, `http://127.0.0.1:15000${path}`);
      if (answer?.status !== 200) throw new Error(`admin ${path} of ${name}: ${answer?.error ?? answer?.body}`);
      return answer.body;
    };
    const apply = async (yaml: string): Promise<void> => {
      const events = readText(yaml, "test.yaml");
      const known = local.plane.compiler.snapshot().namespaces;
      const declared = new Set(events.filter(({ kind }) => kind === "Namespace").map(({ name }) => name));
      const used = new Set(events.map(({ namespace }) => namespace).filter((namespace) => namespace !== ""));
      const missing = [...used].filter((namespace) => !declared.has(namespace) && !known.has(namespace));
      const refused = local.refusals();
      await local.apply([...missing.map(labelled), ...events]);
      if (local.refusals() > refused) throw new Error(`a proxy refused its configuration:\n${log}`);
    };

    await apply(options.yaml);
    return {
      pods: local.pods,
      plane: local.plane,
      pod,
      service: (namespace, name) => {
        const found = local
          .services()
          .find(({ metadata }) => metadata?.namespace === namespace && metadata?.name === name);
        if (found === undefined) throw new Error(`there is no Service ${namespace}/${name}`);
        return found;
      },
      apply,
      remove: async (kind, namespace, name) => {
        const running = kind === "Pod" ? local.pods.get(`${namespace}/${name}`) : undefined;
        await local.remove(kind, namespace, name);
        if (running !== undefined) {
          await clients.get(running)?.close();
          clients.delete(running);
        }
      },
      kill: (name) => pod(name).crash(),
      call,
      exec: (name, program, ...args) => {
        const [first = "", ...rest] = pod(name).network.wrap([program, ...args]);
        return run(first, ...rest);
      },
      admin,
      stat: async (name, pattern) =>
        (await admin(name, "/stats"))
          .split("\n")
          .filter((line) => pattern.test(line))
          .reduce((sum, line) => sum + Number(line.split(": ").at(-1)), 0),
      conditions: (kind, namespace, name) =>
        local
          .statuses()
          .filter((status) => status.kind === kind && status.namespace === namespace && status.name === name)
          .flatMap(({ conditions }) =>
            conditions.map(({ type, status, reason, message }) => `${type} ${status} ${reason}: ${message}`),
          ),
      log: () => log,
      close,
    };
  } catch (error) {
    // A hook that runs before tests fails without a word.
    console.error(error, log);
    await close();
    throw error;
  }
};
