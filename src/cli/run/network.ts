import { execFile } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** Runs a program to its end; rejects with its standard error. */
export const run = async (program: string, ...args: readonly string[]): Promise<string> => {
  try {
    return (await execute(program, [...args], { maxBuffer: 16 << 20 })).stdout;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`${program} ${args.slice(0, 6).join(" ")}: ${stderr?.trim() || String(error)}`);
  }
};

export interface PodNetwork {
  readonly name: string;
  readonly address: string;
}

/** A bridge on this machine with one network namespace for each pod, all of it removed by `close`. */
export interface Network {
  /** The bridge's own address, on which the control plane listens. */
  readonly gateway: string;
  readonly addPod: (pod: string, hosts: ReadonlyMap<string, string>) => Promise<PodNetwork>;
  readonly close: () => Promise<void>;
}

/**
 * Makes the bridge. A pod has a default route to it, so that a connection to a cluster IP is routable until the pod's
 * redirect rules take it.
 */
export const createNetwork = async (): Promise<Network> => {
  const tag = process.pid.toString(36);
  const bridge = `heddle-${tag}`;
  const prefix = "10.244.77";
  const gateway = `${prefix}.1`;
  const namespaces: string[] = [];
  await run("ip", "link", "add", bridge, "type", "bridge");
  await run("ip", "address", "add", `${gateway}/24`, "dev", bridge);
  await run("ip", "link", "set", bridge, "up");

  const addPod = async (pod: string, hosts: ReadonlyMap<string, string>): Promise<PodNetwork> => {
    const name = `heddle-${tag}-${pod}`;
    const index = namespaces.length + 2;
    const address = `${prefix}.${index}`;
    await run("ip", "netns", "add", name);
    namespaces.push(name);
    const host = `hd${tag}${index}`;
    await run("ip", "link", "add", host, "type", "veth", "peer", "name", "eth0", "netns", name);
    await run("ip", "link", "set", host, "master", bridge, "up");
    const inside = ["-n", name];
    await run("ip", ...inside, "address", "add", `${address}/24`, "dev", "eth0");
    await run("ip", ...inside, "link", "set", "lo", "up");
    await run("ip", ...inside, "link", "set", "eth0", "up");
    await run("ip", ...inside, "route", "add", "default", "via", gateway);
    await mkdir(`/etc/netns/${name}`, { recursive: true });
    const lines = ["127.0.0.1 localhost", `${address} ${pod}`, ...[...hosts].map(([host, ip]) => `${ip} ${host}`)];
    await writeFile(`/etc/netns/${name}/hosts`, `${lines.join("\n")}\n`);
    // Nothing answers there, and says so at once: names that are not in the hosts file fail without a wait.
    await writeFile(`/etc/netns/${name}/resolv.conf`, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    return { name, address };
  };

  const close = async (): Promise<void> => {
    for (const name of namespaces) {
      await run("ip", "netns", "delete", name).catch(() => undefined);
      await rm(`/etc/netns/${name}`, { recursive: true, force: true });
    }
    await run("ip", "link", "delete", bridge).catch(() => undefined);
  };

  return { gateway, addPod, close };
};
