import { down, importLocally, up } from "./local.ts";
import { run } from "./processes.ts";
import { paths } from "./settings.ts";

/**
 * The cluster the end-to-end tests use: the one KUBECONFIG names, else this machine's own.
 * A given cluster gets images by `kind load` when its context is kind's, else by the command in HEDDLE_IMAGE_LOAD,
 * which is run with the path of an OCI archive as its last argument.
 */
export interface Cluster {
  readonly kubeconfig: string;
  /** Whether the node is this machine, so that its traffic can be captured. */
  readonly local: boolean;
  readonly importImage: (ociArchive: string) => Promise<void>;
  readonly close: () => Promise<void>;
}

const importGiven = async (kubeconfig: string): Promise<(archive: string) => Promise<void>> => {
  const command = process.env["HEDDLE_IMAGE_LOAD"];
  if (command !== undefined)
    return async (archive) => {
      await run("sh", ["-c", `${command} "$1"`, "sh", archive]);
    };
  const context = (await run("kubectl", ["--kubeconfig", kubeconfig, "config", "current-context"])).trim();
  if (!context.startsWith("kind-"))
    throw new Error(
      `KUBECONFIG: context ${context} is not kind's, so images have no way in: set HEDDLE_IMAGE_LOAD to a command that takes an OCI archive`,
    );
  return async (archive) => {
    await run("kind", ["load", "image-archive", "--name", context.slice("kind-".length), archive]);
  };
};

export const openCluster = async (): Promise<Cluster> => {
  const given = process.env["KUBECONFIG"];
  if (given !== undefined && given !== "" && given !== paths.kubeconfig)
    return { kubeconfig: given, local: false, importImage: await importGiven(given), close: async () => {} };
  const kubeconfig = await up();
  const keep = process.env["HEDDLE_KEEP_CLUSTER"] === "1";
  return { kubeconfig, local: true, importImage: importLocally, close: keep ? async () => {} : down };
};
