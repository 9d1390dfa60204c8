import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, tryRun } from "./processes.ts";
import { addresses, paths, sockets } from "./settings.ts";

/** What the machine lends to the node: an interface, forwarding, one nftables table, the configuration of containerd. */
const sysctls: Readonly<Record<string, string>> = {
  "net/ipv4/ip_forward": "1",
  "net/ipv6/conf/all/forwarding": "1",
  "net/bridge/bridge-nf-call-iptables": "1",
  "net/bridge/bridge-nf-call-ip6tables": "1",
  "fs/inotify/max_user_instances": "1024",
};

const table = "heddle-cluster";

/** Whether pods get IPv6 addresses too. */
export const dualStack = existsSync("/proc/sys/net/ipv6") && existsSync("/proc/net/if_inet6");

const setSysctls = async (): Promise<void> => {
  if (!existsSync("/proc/sys/net/bridge")) await tryRun("modprobe", ["br_netfilter"]);
  const before: Record<string, string> = {};
  for (const [name, value] of Object.entries(sysctls)) {
    const path = join("/proc/sys", name);
    if (!existsSync(path)) {
      if (name.startsWith("net/bridge"))
        throw new Error(`${path} is missing: load the kernel module br_netfilter, services need it`);
      continue;
    }
    const present = readFileSync(path, "utf8").trim();
    if (present === value || (name.startsWith("fs/") && Number(present) >= Number(value))) continue;
    before[name] = present;
    writeFileSync(path, value);
  }
  if (!existsSync(paths.sysctls)) writeFileSync(paths.sysctls, JSON.stringify(before));
};

const restoreSysctls = (): void => {
  if (!existsSync(paths.sysctls)) return;
  const before = JSON.parse(readFileSync(paths.sysctls, "utf8")) as Readonly<Record<string, string>>;
  for (const [name, value] of Object.entries(before)) writeFileSync(join("/proc/sys", name), value);
  rmSync(paths.sysctls);
};

const makeInterface = async (): Promise<void> => {
  const name = addresses.interface;
  if ((await tryRun("ip", ["link", "show", name])) === undefined) {
    // Kernels built for virtual machines may lack the dummy type; a bridge without ports carries addresses as well.
    const dummy = await tryRun("ip", ["link", "add", name, "type", "dummy"]);
    if (dummy === undefined) await run("ip", ["link", "add", name, "type", "bridge"]);
  }
  await run("ip", ["link", "set", name, "up"]);
  await run("ip", ["address", "replace", `${addresses.node}/32`, "dev", name]);
  // Without a default route a service address would be unreachable before kube-proxy's rules see the packet.
  await run("ip", ["route", "replace", addresses.services, "dev", name, "src", addresses.node]);
  if (!dualStack) return;
  await run("ip", ["-6", "address", "replace", `${addresses.node6}/128`, "dev", name, "nodad"]);
  await run("ip", ["-6", "route", "replace", addresses.services6, "dev", name]);
};

const masquerade = async (): Promise<void> => {
  await tryRun("nft", ["delete", "table", "inet", table]);
  const rules = `table inet ${table} {
    chain postrouting {
      type nat hook postrouting priority 110;
      ip saddr ${addresses.pods} ip daddr != ${addresses.pods} masquerade
      ip6 saddr ${addresses.pods6} ip6 daddr != ${addresses.pods6} masquerade
    }
  }`;
  await run("nft", ["-f", "-"], { input: rules });
};

const hasOverlay = async (): Promise<boolean> => {
  const folder = join(paths.containerd, "probe");
  const [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map((part) => join(folder, part));
  for (const part of [lower, upper, work, merged]) mkdirSync(part!, { recursive: true });
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  const mounted = await tryRun("mount", ["-t", "overlay", "overlay", "-o", options, merged!]);
  if (mounted !== undefined) await run("umount", [merged!]);
  rmSync(folder, { recursive: true, force: true });
  return mounted !== undefined;
};

const containerdConfig = (snapshotter: string): string => `version = 2
root = "${paths.containerd}"
state = "${join(sockets, "containerd")}"
[grpc]
  address = "${paths.containerdSocket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${join(paths.containerd, "opt")}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/heddle/pause:1"
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "${snapshotter}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "${paths.cni}"
`;

const network = (): string => {
  const ranges = [[{ subnet: addresses.pods }], ...(dualStack ? [[{ subnet: addresses.pods6 }]] : [])];
  const routes = [{ dst: "0.0.0.0/0" }, ...(dualStack ? [{ dst: "::/0" }] : [])];
  const bridge = {
    type: "bridge",
    bridge: addresses.bridge,
    isGateway: true,
    hairpinMode: true,
    ipam: { type: "host-local", dataDir: join(sockets, "addresses"), ranges, routes },
  };
  return JSON.stringify({ cniVersion: "1.0.0", name: "heddle", plugins: [bridge] }, undefined, 2);
};

export const snapshotterFile = join(paths.config, "snapshotter");

export const prepareNode = async (): Promise<void> => {
  for (const folder of [paths.config, paths.cni, paths.containerd, paths.kubelet, paths.logs, sockets])
    mkdirSync(folder, { recursive: true });
  await setSysctls();
  await makeInterface();
  await masquerade();
  const snapshotter = (await hasOverlay()) ? "overlayfs" : "native";
  writeFileSync(snapshotterFile, snapshotter);
  writeFileSync(join(paths.config, "containerd.toml"), containerdConfig(snapshotter));
  writeFileSync(join(paths.cni, "10-heddle.conflist"), network());
};

const mountsUnder = (prefixes: readonly string[]): readonly string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => prefixes.some((prefix) => path === prefix || path.startsWith(`${prefix}/`)))
    .toReversed();

const removeCgroup = (folder: string): void => {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
  try {
    rmdirSync(folder);
  } catch {
    // A process still ends in there; the empty group does no harm.
  }
};

/** Takes back everything that prepareNode, kubelet and kube-proxy left on the machine. */
export const restoreNode = async (): Promise<void> => {
  for (const mount of mountsUnder([paths.kubelet, paths.containerd, sockets])) await tryRun("umount", ["-l", mount]);
  if (existsSync(paths.kube)) await tryRun(paths.kube, ["kube-proxy", "--cleanup"]);
  for (const name of [addresses.bridge, addresses.interface]) await tryRun("ip", ["link", "delete", name]);
  await tryRun("nft", ["delete", "table", "inet", table]);
  for (const root of ["/sys/fs/cgroup", ...readdirSync("/sys/fs/cgroup").map((name) => join("/sys/fs/cgroup", name))])
    removeCgroup(join(root, "kubepods"));
  restoreSysctls();
  for (const folder of [sockets, paths.kubelet, paths.etcd, paths.pki, paths.config, paths.cni])
    rmSync(folder, { recursive: true, force: true });
  rmSync(paths.kubeconfig, { force: true });
  // The CNI library keeps results in one place for all of a machine's networks; ours begin with the network's name.
  const results = "/var/lib/cni/results";
  for (const name of existsSync(results) ? readdirSync(results) : [])
    if (name.startsWith("heddle-")) rmSync(join(results, name));
};
