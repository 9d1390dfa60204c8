import type { V1Deployment } from "@kubernetes/client-node";
import type { Command } from "commander";
import { list } from "./cluster/apply.js";
import { type ClusterOptions, clusterOptions, connect } from "./cluster/client.js";
import { namespace } from "./manifests/context.js";
import { version } from "./version.js";

interface VersionOptions extends ClusterOptions {
  readonly remote: boolean;
}

const show = async (options: VersionOptions): Promise<void> => {
  console.log(`heddle: ${version}`);
  if (!options.remote) return;
  const labels = "app=heddled";
  const deployments = await list<V1Deployment>(connect(options), "apps/v1", "Deployment", { namespace, labels });
  if (deployments.length === 0) console.log("control plane: none in this cluster");
  for (const { metadata, spec } of deployments)
    console.log(
      `control plane, revision ${metadata?.labels?.["istio.io/rev"]}: ${spec?.template.spec?.containers[0]?.image}`,
    );
};

export const registerVersion = (program: Command): void => {
  const command = program
    .command("version")
    .description("print the version of this command, and of the control plane with --remote")
    .option("--remote", "ask the cluster too", false);
  clusterOptions(command).action(show);
};
