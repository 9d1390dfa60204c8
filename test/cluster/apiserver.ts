import { mkdirSync, rmSync } from "node:fs";
import { buildKube } from "./binaries.ts";
import { startApiserver, startEtcd } from "./components.ts";
import { isUp } from "./local.ts";
import { makePki } from "./pki.ts";
import { isAlive, readDaemons, stopDaemons } from "./processes.ts";
import { paths, state } from "./settings.ts";

export interface ApiServer {
  readonly kubeconfig: string;
  readonly close: () => Promise<void>;
}

const names = new Set(["etcd", "kube-apiserver"]);

const stop = (): Promise<void> => stopDaemons(({ name }) => names.has(name));

/**
 * A real API server with its store and nothing behind it: what is written is kept, validated and served, and no pod ever
 * starts. Needs no root. If this machine's cluster is up, its API server serves, and stays up.
 */
export const openApiServer = async (): Promise<ApiServer> => {
  if (await isUp()) return { kubeconfig: paths.kubeconfig, close: async () => {} };
  const remains = readDaemons().filter((daemon) => isAlive(daemon) && !names.has(daemon.name));
  if (remains.length > 0)
    throw new Error(`a cluster is half up (${remains.map(({ name }) => name).join(", ")}): run test/cluster/down.ts`);
  await stop();
  mkdirSync(state, { recursive: true });
  rmSync(paths.etcd, { recursive: true, force: true });
  try {
    await Promise.all([buildKube(), makePki()]);
    await startEtcd();
    await startApiserver();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    kubeconfig: paths.kubeconfig,
    close: async () => {
      await stop();
      rmSync(paths.etcd, { recursive: true, force: true });
    },
  };
};
