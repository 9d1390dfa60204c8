import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { projectFolder } from "../../../src/cli/run/machine.js";
import { eventually } from "../../component/support/mesh.js";

const execute = promisify(execFile);
const binary = (name: string): string => join(projectFolder, ".cache/bin", name);

/** Who runs as this user is given this identity. */
export interface SpireEntry {
  readonly user: number;
  readonly spiffeId: string;
  readonly lifetimeSeconds: number;
}

export interface Spire {
  /** With the agent's file `socket`. */
  readonly socketFolder: string;
  /** The roots of the trust domain. */
  readonly bundlePem: string;
  readonly bundleFile: string;
  readonly close: () => Promise<void>;
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });

const serverConfiguration = (folder: string, port: number, trustDomain: string): string => `
server {
  bind_address = "127.0.0.1"
  bind_port = "${port}"
  socket_path = "${folder}/server.sock"
  trust_domain = "${trustDomain}"
  data_dir = "${folder}/server"
  log_level = "INFO"
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "${folder}/server/datastore.sqlite3"
    }
  }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`;

/** It says nothing of SDS: the names that it serves are its own defaults. */
const agentConfiguration = (folder: string, port: number, trustDomain: string): string => `
agent {
  data_dir = "${folder}/agent"
  log_level = "INFO"
  server_address = "127.0.0.1"
  server_port = "${port}"
  socket_path = "${folder}/public/socket"
  trust_bundle_path = "${folder}/bundle.pem"
  trust_domain = "${trustDomain}"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`;

/** A real SPIRE server with one agent on this machine. Throws if they are not built: `make nightly` builds them. */
export const startSpire = async (trustDomain: string, entries: readonly SpireEntry[]): Promise<Spire> => {
  for (const name of ["spire-server", "spire-agent"])
    if (!existsSync(binary(name))) throw new Error(`${binary(name)} is not built; run deploy/tools/spire.sh`);
  const folder = await mkdtemp(join(tmpdir(), "heddle-spire-"));
  const children: ChildProcess[] = [];
  let log = "";
  const start = (name: string, ...words: readonly string[]): void => {
    const child = spawn(binary(name), words, { stdio: ["ignore", "pipe", "pipe"] });
    for (const pipe of [child.stdout, child.stderr])
      pipe.on("data", (chunk: Buffer) => {
        log += chunk.toString("utf8");
      });
    children.push(child);
  };
  const close = async (): Promise<void> => {
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once("close", resolve));
      child.kill("SIGKILL");
      await ended;
    }
    await rm(folder, { recursive: true, force: true });
  };
  const server = async (...words: readonly string[]): Promise<string> =>
    (await execute(binary("spire-server"), [...words, "-socketPath", `${folder}/server.sock`])).stdout;
  try {
    await chmod(folder, 0o755);
    for (const part of ["server", "agent", "public"]) await mkdir(join(folder, part), { mode: 0o755 });
    const port = await freePort();
    await writeFile(`${folder}/server.conf`, serverConfiguration(folder, port, trustDomain));
    await writeFile(`${folder}/agent.conf`, agentConfiguration(folder, port, trustDomain));
    start("spire-server", "run", "-config", `${folder}/server.conf`);
    const isHealthy = async (): Promise<boolean> => server("healthcheck").then(() => true);
    await eventually("the SPIRE server is healthy", isHealthy, 60);
    const bundlePem = await server("bundle", "show");
    await writeFile(`${folder}/bundle.pem`, bundlePem);
    const node = `spiffe://${trustDomain}/node`;
    const token = /Token: (\S+)/.exec(await server("token", "generate", "-spiffeID", node))?.[1] ?? "";
    for (const { user, spiffeId, lifetimeSeconds } of entries) {
      const of = ["-parentID", node, "-spiffeID", spiffeId, "-selector", `unix:uid:${user}`];
      await server("entry", "create", ...of, "-x509SVIDTTL", String(lifetimeSeconds));
    }
    start("spire-agent", "run", "-config", `${folder}/agent.conf`, "-joinToken", token);
    await eventually("the SPIRE agent serves", async () => existsSync(`${folder}/public/socket`), 60);
    return { socketFolder: `${folder}/public`, bundlePem, bundleFile: `${folder}/bundle.pem`, close };
  } catch (error) {
    console.error(error, log);
    await close();
    throw error;
  }
};
