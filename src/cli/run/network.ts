import { execFile } from "node:child_process";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { V1Container, V1Pod } from "@kubernetes/client-node";
import type { Pod, Service } from "../../api/kubernetes.js";
import type { Sidecar } from "../../api/networking/sidecar.js";
import { takeSlot } from "./slot.js";

const execute = promisify(execFile);

/** Runs a program to its end; rejects with its standard error. */
export const run = async (program: string, ...args: readonly string[]): Promise<string> =>
  runWith("", program, ...args);

/** Like `run`, with `input` as the program's standard input. */
export const runWith = async (input: string, program: string, ...args: readonly string[]): Promise<string> => {
  try {
    const running = execute(program, [...args], { maxBuffer: 16 << 20 });
    running.child.stdin?.on("error", () => {});
    running.child.stdin?.end(input);
    return (await running).stdout;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`${program} ${args.slice(0, 6).join(" ")}: ${stderr?.trim() || String(error)}`);
  }
};

export type IpFamily = "IPv4" | "IPv6";

export interface ProcessUser {
  readonly uid: number;
  readonly gid: number;
  /** Linux capabilities it keeps, as Kubernetes writes them: `NET_ADMIN`. */
  readonly capabilities?: readonly string[];
}

/** Where a pod's processes run. */
export interface PodNetwork {
  /** One of each family, the primary one first. */
  readonly addresses: readonly string[];
  /** Where its application can be called directly, from where its processes run. */
  readonly applicationAddress: string;
  /** The container as it can run there; undefined if there is nothing for it to do. */
  readonly fit: (container: V1Container, pod: V1Pod) => V1Container | undefined;
  /** Program and arguments that run `words` there as this user, or else as this process's own. */
  readonly wrap: (words: readonly string[], user?: ProcessUser) => readonly string[];
  /** A command of the shell that asks for the URL as the pod's application would. */
  readonly curl: (url: string) => string;
  /** Host names that resolve there, besides localhost and the pod's own. */
  readonly setHosts: (hosts: readonly (readonly [name: string, address: string])[]) => Promise<void>;
  /** An nftables transaction that makes virtual addresses of Services reach their endpoints. */
  readonly setServices: (ruleset: string) => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** Where pods run on this machine; all of it is gone after `close`. */
export interface Network {
  /** An address of the primary family, on which the control plane listens. */
  readonly gateway: string;
  readonly families: readonly IpFamily[];
  readonly addPod: (pod: string) => Promise<PodNetwork>;
  /** The injected pod, with what the control plane has to know of where it runs. */
  readonly place: (pod: V1Pod) => V1Pod;
  /** How proxies are called that nothing is redirected to; none where it is. Throws an Error with the cure. */
  readonly sidecars: (pods: readonly Pod[], services: readonly Service[]) => readonly Sidecar[];
  readonly close: () => Promise<void>;
}

/** Ends with this process, however that ends. */
const become = ({ uid, gid, capabilities = [] }: ProcessUser): readonly string[] => [
  "setpriv",
  ...[`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--pdeathsig=KILL", "--inh-caps=-all"],
  `--bounding-set=${["-all", ...capabilities.map((name) => `+${name.toLowerCase()}`)].join()}`,
  "--",
];

/** Orphaned connections keep a namespace alive for minutes: its device is deleted by name. */
const removeNamespace = async (name: string, device: string | undefined): Promise<void> => {
  await run("ip", "netns", "delete", name).catch(() => undefined);
  if (device !== undefined) await run("ip", "link", "delete", device).catch(() => undefined);
  await rm(`/etc/netns/${name}`, { recursive: true, force: true });
};

/** What a run that was killed has left in this slot. */
const clearSlot = async (bridge: string, prefix: string, devicePrefix: string): Promise<void> => {
  const names = await readdir("/run/netns").catch(() => []);
  for (const name of names.filter((candidate) => candidate.startsWith(prefix))) await removeNamespace(name, undefined);
  const devices = await readdir("/sys/class/net");
  for (const device of devices.filter((candidate) => candidate.startsWith(devicePrefix)))
    await run("ip", "link", "delete", device).catch(() => undefined);
  await run("ip", "link", "delete", bridge).catch(() => undefined);
};

/**
 * Makes a bridge, and for each pod a network namespace. A pod has a default route to it, so that a connection to a cluster IP is routable until the pod's
 * redirect rules take it.
 */
export const createNetwork = async (families: readonly IpFamily[] = ["IPv4"]): Promise<Network> => {
  const { number: slot, release } = await takeSlot("network");
  const bridge = `heddle-run${slot}`;
  const prefix = `heddle-${slot}-`;
  const inFamily = {
    IPv4: (host: number) => `10.245.${slot}.${host}`,
    IPv6: (host: number) => `fd68:${slot}::${host}`,
  };
  const lengthOf = { IPv4: 24, IPv6: 64 } as const;
  const addressLine = (family: IpFamily, host: number, device: string): string =>
    `address add ${inFamily[family](host)}/${lengthOf[family]} dev ${device}${family === "IPv6" ? " nodad" : ""}`;
  const devicePrefix = `hd${slot}-`;
  /** Devices on the bridge by namespace. */
  const namespaces = new Map<string, string>();
  let last = 1;
  await clearSlot(bridge, prefix, devicePrefix);
  const setUp = [
    `link add ${bridge} type bridge`,
    `link set ${bridge} up`,
    ...families.map((family) => addressLine(family, 1, bridge)),
  ];
  await runWith(setUp.join("\n"), "ip", "-batch", "-");

  const addPod = async (pod: string): Promise<PodNetwork> => {
    const host = ++last;
    const name = `${prefix}${pod}`;
    const device = `${devicePrefix}${host}`;
    const addresses = families.map((family) => inFamily[family](host));
    await run("ip", "netns", "add", name);
    namespaces.set(name, device);
    await runWith(
      [`link add ${device} type veth peer name eth0 netns ${name}`, `link set ${device} master ${bridge} up`].join(
        "\n",
      ),
      ...(["ip", "-batch", "-"] as const),
    );
    const inside = [
      "link set lo up",
      "link set eth0 up",
      ...families.flatMap((family) => [
        addressLine(family, host, "eth0"),
        `route add default via ${inFamily[family](1)}`,
      ]),
    ];
    await runWith(inside.join("\n"), "ip", "-n", name, "-batch", "-");
    // As container runtimes do for pods.
    await run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=0");
    await mkdir(`/etc/netns/${name}`, { recursive: true });
    let hostsText = "";
    const setHosts: PodNetwork["setHosts"] = async (hosts) => {
      const own = addresses.map((address) => [pod, address] as const);
      const lines = ["127.0.0.1 localhost", "::1 localhost"];
      const text = [...lines, ...[...own, ...hosts].map(([host, address]) => `${address} ${host}`), ""].join("\n");
      if (text === hostsText) return;
      hostsText = text;
      await writeFile(`/etc/netns/${name}/hosts`, text);
    };
    await setHosts([]);
    // Nothing answers there, and says so at once: names that are not in the hosts file fail without a wait.
    await writeFile(`/etc/netns/${name}/resolv.conf`, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");
    let services = "";
    return {
      addresses,
      applicationAddress: families[0] === "IPv6" ? "::1" : "127.0.0.1",
      fit: (container) => container,
      curl: (url) => `ip netns exec ${name} setpriv --reuid=65534 curl ${url}`,
      wrap: (words, user) => [...["ip", "netns", "exec", name], ...(user === undefined ? [] : become(user)), ...words],
      setHosts,
      setServices: async (ruleset) => {
        if (ruleset === services) return;
        services = ruleset;
        await runWith(ruleset, "ip", "netns", "exec", name, "nft", "-f", "-");
      },
      remove: async () => {
        namespaces.delete(name);
        await removeNamespace(name, device);
      },
    };
  };

  const close = async (): Promise<void> => {
    await Promise.all([...namespaces].map(([name, device]) => removeNamespace(name, device)));
    await run("ip", "link", "delete", bridge).catch(() => undefined);
    release();
  };

  return {
    gateway: inFamily[families[0] ?? "IPv4"](1),
    families,
    addPod,
    place: (pod) => pod,
    sidecars: () => [],
    close,
  };
};
