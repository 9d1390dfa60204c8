import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { buildBinaries } from "./binaries.ts";
import {
  dnsObjects,
  startApiserver,
  startContainerd,
  startControllers,
  startDns,
  startEtcd,
  startKubelet,
  startProxy,
} from "./components.ts";
import { pauseImage } from "./images.ts";
import { prepareNode, restoreNode, snapshotterFile } from "./node.ts";
import { makePki } from "./pki.ts";
import { isAlive, logTail, readDaemons, run, stopDaemons, tryRun, waitFor } from "./processes.ts";
import { nodeName, paths, state } from "./settings.ts";

/** The cluster of this machine: brought up and taken down whole; what fails on the way up takes the rest down. */
const ctr = (...commandArguments: readonly string[]): readonly string[] => [
  "--address",
  paths.containerdSocket,
  "--namespace",
  "k8s.io",
  ...commandArguments,
];

const daemonNames = [
  ...["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"],
  ...["containerd", "kubelet", "kube-proxy", "coredns"],
];

/** Whether this machine's cluster is up, whole. */
export const isUp = async (): Promise<boolean> => {
  const alive = readDaemons().filter(isAlive);
  if (!daemonNames.every((name) => alive.some((daemon) => daemon.name === name))) return false;
  return (await tryRun("kubectl", ["--kubeconfig", paths.kubeconfig, "get", "--raw", "/readyz"])) !== undefined;
};

export const importLocally = async (archive: string): Promise<void> => {
  const snapshotter = readFileSync(snapshotterFile, "utf8");
  await run("ctr", ctr("images", "import", "--snapshotter", snapshotter, archive));
};

const kubectl = (...commandArguments: readonly string[]): Promise<string> =>
  run("kubectl", ["--kubeconfig", paths.kubeconfig, ...commandArguments]);

const waitForNode = (): Promise<unknown> =>
  waitFor(
    "the node is ready",
    async () =>
      (
        await kubectl("get", "node", nodeName, "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')
      ).includes("True") && (await kubectl("get", "serviceaccount", "default", "-o", "name")),
    90,
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${logTail("kubelet")}`);
  });

const start = async (): Promise<void> => {
  const [, archive] = await Promise.all([buildBinaries(), pauseImage()]);
  await Promise.all([makePki(), prepareNode()]);
  await Promise.all([startEtcd(), startContainerd().then(() => importLocally(archive))]);
  await startApiserver();
  startKubelet();
  await kubectlApply({ apiVersion: "v1", kind: "List", items: dnsObjects });
  await Promise.all([startControllers(), startProxy(), startDns()]);
  await waitForNode();
};

const kubectlApply = (content: unknown): Promise<string> =>
  run("kubectl", ["--kubeconfig", paths.kubeconfig, "apply", "-f", "-"], { input: JSON.stringify(content) });

/** Brings the cluster up, or finds it up; returns the path of an administrator's kubeconfig. */
export const up = async (): Promise<string> => {
  if (process.getuid?.() !== 0)
    throw new Error("the cluster needs root; or set KUBECONFIG to a cluster you have and HEDDLE_IMAGE_LOAD");
  mkdirSync(state, { recursive: true });
  if (await isUp()) return paths.kubeconfig;
  await down();
  try {
    await start();
  } catch (error) {
    await down().catch((cleanup: Error) => console.error(`while cleaning up: ${cleanup.message}`));
    throw error;
  }
  return paths.kubeconfig;
};

/** Network namespaces of the pods that containerd knows, to be removed after them. */
const podNamespaces = async (containers: readonly string[]): Promise<readonly string[]> => {
  const found = new Set<string>();
  for (const container of containers) {
    const information = await tryRun("ctr", ctr("containers", "info", container));
    const match = information?.match(/\/netns\/(cni-[0-9a-f-]+)/);
    if (match?.[1] !== undefined) found.add(match[1]);
  }
  return [...found];
};

const removeContainers = async (): Promise<void> => {
  const listed = await tryRun("ctr", ctr("containers", "list", "--quiet"));
  const containers = (listed ?? "").split("\n").filter((line) => line !== "");
  const namespaces = await podNamespaces(containers);
  for (const container of containers) {
    await tryRun("ctr", ctr("tasks", "delete", "--force", container));
    await tryRun("ctr", ctr("containers", "delete", container));
  }
  for (const namespace of namespaces) await tryRun("ip", ["netns", "delete", namespace]);
};

/** Shims detach from containerd; they are known by the socket they were given. */
const endShims = async (): Promise<void> => {
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${entry}/cmdline`, "utf8").split("\0");
      if (command[0]?.endsWith("containerd-shim-runc-v2") && command.includes(paths.containerdSocket))
        process.kill(Number(entry), "SIGKILL");
    } catch {
      // Ended meanwhile.
    }
  }
};

/** Ends every process of the cluster by its pid and restores the machine; binaries, images and logs stay cached. */
export const down = async (): Promise<void> => {
  await stopDaemons((daemon) => daemon.name === "kubelet");
  if (existsSync(paths.containerdSocket)) await removeContainers();
  await stopDaemons();
  await endShims();
  await restoreNode();
  rmSync(paths.daemons, { force: true });
};
