import type { KubernetesObject, V1Namespace, V1Pod } from "@kubernetes/client-node";
import type { Command } from "commander";
import { find, list, managedObjects, remove } from "./cluster/apply.js";
import { type ClusterClient, type ClusterOptions, clusterOptions, connect } from "./cluster/client.js";
import { waitUntil } from "./cluster/readiness.js";
import { namespace } from "./manifests/context.js";
import { confirm, parseSeconds, runSteps, type Step } from "./progress.js";

interface UninstallOptions extends ClusterOptions {
  readonly yes: boolean;
  readonly purge: boolean;
  readonly revision?: string;
  readonly timeout: number;
}

const lookAgain = async (): Promise<string> => "run the command again, it goes on where it stopped";

const waitForEnd = (
  client: ClusterClient,
  revision: string | undefined,
  deadlineSeconds: number,
  tell: (state: string) => void,
) => {
  const labels = `app=heddled,istio.io/rev${revision === undefined ? "" : `=${revision}`}`;
  return waitUntil(
    deadlineSeconds,
    async () => {
      const pods = await list<V1Pod>(client, "v1", "Pod", { namespace, labels });
      return pods.length === 0 ? undefined : `${pods.length} pods are ending`;
    },
    tell,
    lookAgain,
  );
};

const removeAll = async (
  client: ClusterClient,
  objects: readonly KubernetesObject[],
  tell: (state: string) => void,
): Promise<string> => {
  for (const object of objects) {
    tell(`${object.kind} ${object.metadata?.name}`);
    await remove(client, object);
  }
  return objects.length === 0 ? "none" : `${objects.length} removed`;
};

/**
 * What outlives an installation: the configuration API with the users' resources, and what heddled itself has left, once
 * it has ended: its CA, its leases, and the root certificates of all namespaces.
 */
const purgeSteps = (client: ClusterClient, deadlineSeconds: number): readonly Step[] => [
  {
    title: "Configuration API and its resources",
    run: async (tell) => {
      const wanted = ["apiextensions.k8s.io/v1", "CustomResourceDefinition"] as const;
      const ours = () => list(client, ...wanted, { labels: "app.kubernetes.io/managed-by=heddle" });
      const result = await removeAll(client, await ours(), tell);
      const gone = async () => ((await ours()).length === 0 ? undefined : "resources are ending");
      await waitUntil(deadlineSeconds, gone, tell, lookAgain);
      return result;
    },
  },
  {
    title: "Root certificates in namespaces",
    run: async (tell) =>
      removeAll(client, await list(client, "v1", "ConfigMap", { fields: "metadata.name=istio-ca-root-cert" }), tell),
  },
  {
    title: "Certificate authority",
    run: async (tell) =>
      removeAll(
        client,
        (
          await Promise.all(
            (
              [
                ["Secret", "istio-ca-secret"],
                ["Secret", "heddle-trust"],
                ["ConfigMap", "heddle-ca"],
              ] as const
            ).map(([kind, name]) => list(client, "v1", kind, { namespace, fields: `metadata.name=${name}` })),
          )
        ).flat(),
        tell,
      ),
  },
  {
    title: `Namespace ${namespace}`,
    run: async (tell) => {
      const wanted = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
      const found = await find<V1Namespace>(client, wanted);
      if (found === undefined) return "none";
      if (found.metadata?.labels?.["app.kubernetes.io/managed-by"] !== "heddle")
        return "left alone, since the installation has not made it";
      await remove(client, wanted);
      const gone = async () => ((await find(client, wanted)) === undefined ? undefined : "the namespace is ending");
      await waitUntil(deadlineSeconds, gone, tell, lookAgain);
      return "removed";
    },
  },
];

const uninstall = async (options: UninstallOptions): Promise<void> => {
  const client = connect(options);
  const { revision, timeout } = options;
  if (revision !== undefined && options.purge)
    throw new Error("--purge takes away what all revisions share: leave out --revision, or --purge");
  const extent = options.purge
    ? ", with its certificate authority, its namespace, the configuration API and every resource of it,"
    : "";
  await confirm(
    `Uninstall heddle${revision === undefined ? "" : ` revision ${revision}`}${extent} from context ${client.context}? Pods keep their sidecars until they are replaced.`,
    options.yes,
  );
  const objects = await managedObjects(client, revision);
  const isWebhook = ({ kind }: KubernetesObject): boolean => kind?.endsWith("WebhookConfiguration") ?? false;
  const isDeployment = ({ kind }: KubernetesObject): boolean => kind === "Deployment";
  await runSteps([
    { title: "Webhooks", run: (tell) => removeAll(client, objects.filter(isWebhook), tell) },
    {
      title: "Control plane",
      run: async (tell) => {
        const result = await removeAll(client, objects.filter(isDeployment), tell);
        await waitForEnd(client, revision, timeout, tell);
        return result;
      },
    },
    {
      title: "Configuration and permissions",
      run: (tell) =>
        removeAll(
          client,
          objects.filter((object) => !isWebhook(object) && !isDeployment(object)),
          tell,
        ),
    },
    ...(options.purge ? purgeSteps(client, timeout) : []),
  ]);
  if (!options.purge)
    console.log(
      `Kept: namespace ${namespace}, the certificate authority, and the configuration API with its resources; take them away with uninstall --purge.`,
    );
};

export const registerUninstall = (program: Command): void => {
  const command = program
    .command("uninstall")
    .description("take the mesh away")
    .option("-y, --yes", "do not ask", false)
    .option(
      "--purge",
      "take away the configuration API with its resources, the certificate authority and namespace too",
      false,
    )
    .option("-r, --revision <name>", "only this revision")
    .option("--timeout <time>", "how long to wait for the end of each thing", parseSeconds, 120);
  clusterOptions(command).action(uninstall);
};
