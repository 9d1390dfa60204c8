import type { Command } from "commander";
import { apply, managedObjects, type Outcome, remove, stale } from "./cluster/apply.js";
import { type ClusterOptions, clusterOptions, connect } from "./cluster/client.js";
import { waitForDefinitions, waitForRollout, waitForWebhook } from "./cluster/readiness.js";
import type { Manifest } from "./manifests/context.js";
import { renderManifests } from "./manifests/render.js";
import { type ValueOptions, valueOptions, valuesFrom } from "./options.js";
import { confirm, parseSeconds, runSteps, type Step } from "./progress.js";
import { version } from "./version.js";

interface InstallOptions extends ValueOptions, ClusterOptions {
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly forceConflicts: boolean;
  readonly wait: boolean;
  readonly timeout: number;
}

const groups: readonly { readonly title: string; readonly kinds: readonly string[] }[] = [
  { title: "Configuration API", kinds: ["CustomResourceDefinition"] },
  { title: "Namespace istio-system", kinds: ["Namespace"] },
  {
    title: "Service account and permissions",
    kinds: ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
  },
  { title: "Configuration", kinds: ["ConfigMap"] },
  { title: "Control plane", kinds: ["Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment"] },
  { title: "Webhooks", kinds: ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] },
];

const count = (outcomes: readonly Outcome[]): string =>
  (["created", "changed", "unchanged"] as const)
    .map((outcome) => ({ outcome, number: outcomes.filter((each) => each === outcome).length }))
    .filter(({ number }) => number > 0)
    .map(({ outcome, number }) => `${number} ${outcome}`)
    .join(", ");

const install = async (options: InstallOptions): Promise<void> => {
  const values = valuesFrom(options);
  const manifests = renderManifests(values);
  const client = connect(options);
  const what = `heddle ${version}${values.revision === "default" ? "" : `, revision ${values.revision},`}`;
  if (!options.dryRun) await confirm(`Install ${what} into context ${client.context} (${client.server})?`, options.yes);

  const how = { force: options.forceConflicts, dryRun: options.dryRun };
  // A dry run keeps no namespace, and objects cannot be tried in one that is not there.
  let untried = false;
  const applyOne = async (manifest: Manifest): Promise<Outcome> => {
    const outcome =
      untried && manifest.metadata.namespace !== undefined ? "created" : await apply(client, manifest, how);
    if (options.dryRun && manifest.kind === "Namespace") untried = outcome === "created";
    return outcome;
  };
  const steps: Step[] = groups.map(({ title, kinds }) => ({
    title,
    run: async (tell) => {
      const outcomes: Outcome[] = [];
      for (const manifest of manifests.filter(({ kind }) => kinds.includes(kind))) {
        tell(`${manifest.kind} ${manifest.metadata.name}`);
        outcomes.push(await applyOne(manifest));
      }
      // The control plane watches these kinds from its start, also where nothing else is waited for.
      if (kinds.includes("CustomResourceDefinition") && !options.dryRun)
        await waitForDefinitions(client, manifests, options.timeout, tell);
      return count(outcomes);
    },
  }));
  const prune: Step = {
    title: "Objects of earlier installations",
    run: async (tell) => {
      const old = stale(await managedObjects(client, values.revision), manifests);
      for (const object of old) {
        tell(`${object.kind} ${object.metadata?.name}`);
        if (!options.dryRun) await remove(client, object);
      }
      return old.length === 0 ? "none" : `${old.length} removed`;
    },
  };
  const ready: Step = {
    title: "Control plane ready",
    run: async (tell) => {
      await waitForRollout(client, manifests, options.timeout, tell);
      await waitForWebhook(client, manifests, options.timeout, tell);
      return undefined;
    },
  };
  await runSteps([...steps, prune, ...(options.wait && !options.dryRun ? [ready] : [])]);
  if (options.dryRun) {
    if (untried) console.log("Objects inside the namespace were not checked, since it does not exist yet.");
    console.log("Nothing was changed: this was a dry run.");
    return;
  }
  const label = values.revision === "default" ? "istio-injection=enabled" : `istio.io/rev=${values.revision}`;
  console.log(`Installed ${what}. Pods get a sidecar where their namespace asks for it:`);
  console.log(`  kubectl label namespace default ${label}`);
};

export const registerInstall = (program: Command): void => {
  const command = program
    .command("install")
    .description("install the mesh, or upgrade it in place")
    .option("-y, --yes", "do not ask", false)
    .option("--dry-run", "have the cluster check everything and keep nothing", false)
    .option("--force-conflicts", "take over fields that others have set", false)
    .option("--no-wait", "do not wait until the control plane is ready")
    .option("--timeout <time>", "how long to wait until it is ready", parseSeconds, 180);
  clusterOptions(valueOptions(command)).action(install);
};
