import { existsSync } from "node:fs";
import { glob } from "node:fs/promises";
import { join } from "node:path";
import { type Cluster, openCluster } from "../../cluster/cluster.ts";
import { sampleImages } from "../../cluster/images.ts";
import { run } from "../../cluster/processes.ts";
import { top } from "../../cluster/settings.ts";
import { type Kubectl, kubectlFor } from "./kubectl.ts";

/** A cluster with the images in it, and the `heddle` command that works on it. */
export interface Mesh extends Kubectl {
  readonly cluster: Cluster;
  readonly heddle: (...commandArguments: readonly string[]) => Promise<string>;
  readonly close: () => Promise<void>;
}

const say = (text: string): void => console.error(`# ${text}`);

const timed = async <Value>(what: string, action: () => Promise<Value>): Promise<Value> => {
  const started = performance.now();
  const value = await action();
  say(`${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return value;
};

/** Builds the product's images as `make images` does; returns their OCI archives. */
const productImages = async (): Promise<readonly string[]> => {
  const script = join(top, "deploy/images/build.sh");
  if (!existsSync(script)) throw new Error(`${script} is missing`);
  await run(script, ["buildah"], { cwd: top, deadlineSeconds: 1200 });
  const archives = await Array.fromAsync(glob(join(top, ".cache/images/*.tar")));
  if (archives.length === 0) throw new Error(`${script} left no archive in .cache/images`);
  return archives;
};

export const openMesh = async (): Promise<Mesh> => {
  const cluster = await timed("cluster up", openCluster);
  try {
    const archives = await timed("images built", async () => [...(await sampleImages()), ...(await productImages())]);
    await timed("images loaded", async () => {
      for (const archive of archives) await cluster.importImage(archive);
    });
  } catch (error) {
    await cluster.close();
    throw error;
  }
  const heddle = (...commandArguments: readonly string[]): Promise<string> =>
    run(process.execPath, ["--import", "tsx", join(top, "src/cli/main.ts"), ...commandArguments], {
      cwd: top,
      env: { KUBECONFIG: cluster.kubeconfig },
      deadlineSeconds: 300,
    });
  return { ...kubectlFor(cluster.kubeconfig), cluster, heddle, close: cluster.close };
};
