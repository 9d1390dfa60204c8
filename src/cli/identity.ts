import type { V1Pod } from "@kubernetes/client-node";
import type { Command } from "commander";
import { inspectionHost, inspectionPort } from "../admission/inspection.js";
import type { CertificateFacts, Holding } from "../main/certificates/holdings.js";
import type { Identities } from "../main/certificates/identities.js";
import { list } from "./cluster/apply.js";
import { type ClusterClient, type ClusterOptions, clusterOptions, connect } from "./cluster/client.js";
import { getFromPod } from "./cluster/port-forward.js";
import { namespace as controlPlaneNamespace } from "./manifests/context.js";
import { formatted, type OutputFormat, outputOption, shortFingerprint, table } from "./output.js";

interface IdentityOptions extends ClusterOptions {
  readonly namespace?: string;
  readonly allNamespaces: boolean;
  readonly output: OutputFormat;
}

const exitCodes = { clean: 0, findings: 1, failure: 2 } as const;

/** What one pod's proxy holds, and whether that is what it should hold. */
export interface PodIdentity extends CertificateFacts {
  readonly namespace: string;
  readonly pod: string;
  readonly serviceAccount: string;
  /** The replica of heddled that it is connected to. */
  readonly replica: string;
  readonly acknowledged: boolean;
  /** Whether its root is the one that signs now. */
  readonly current: boolean;
  /** Whether it trusts exactly the roots of now. */
  readonly trustsRoots: boolean;
  readonly problem?: string;
}

const problemOf = (
  { state, held, trusts }: Holding,
  facts: CertificateFacts,
  isCurrent: boolean,
): string | undefined => {
  if (state === "rejected") return "the proxy has rejected its last certificate; its log says why";
  if (state === "pending" && held === undefined) return "the proxy has not acknowledged a certificate yet";
  if (Date.parse(facts.notAfter) <= Date.now()) return "expired; see the log of heddled for why it was not renewed";
  if (!isCurrent) return "of an earlier root; a new one is issued within minutes of a rotation";
  return trusts ? undefined : "the proxy has not taken the roots of now; restart the pod if it stays so";
};

export const podIdentities = ({ replica, signingRoot, identities }: Identities): readonly PodIdentity[] =>
  identities.map((holding) => {
    const { proxy, issued, state, held, trusts } = holding;
    const facts = held ?? issued;
    const current = facts.root === signingRoot;
    const problem = problemOf(holding, facts, current);
    return {
      namespace: proxy.namespace,
      pod: proxy.podName,
      serviceAccount: proxy.serviceAccount,
      replica,
      ...facts,
      acknowledged: state === "acknowledged" || held !== undefined,
      current,
      trustsRoots: trusts,
      ...(problem === undefined ? {} : { problem }),
    };
  });

/** What every running replica knows. Rejects if there is none, one does not answer, or SPIRE holds the certificates. */
const readIdentities = async (client: ClusterClient): Promise<readonly PodIdentity[]> => {
  const labels = "app=heddled";
  const pods = await list<V1Pod>(client, "v1", "Pod", { namespace: controlPlaneNamespace, labels });
  const running = pods.filter(({ status, metadata }) => status?.phase === "Running" && !metadata?.deletionTimestamp);
  if (running.length === 0)
    throw new Error(
      `no pod of heddled runs in namespace ${controlPlaneNamespace} of context ${client.context}; see kubectl -n ${controlPlaneNamespace} get pods`,
    );
  const answers = await Promise.all(
    running.map(({ metadata }) =>
      getFromPod(client, {
        namespace: controlPlaneNamespace,
        pod: metadata?.name ?? "",
        port: inspectionPort,
        path: "/identities",
        host: inspectionHost,
      }),
    ),
  );
  if (answers.some((answer) => (answer as Identities).source === "spire"))
    throw new Error(
      "SPIRE gives the proxies their certificates, and heddled does not see them: ask SPIRE (spire-server entry show), or a proxy's own admin interface (/certs)",
    );
  return answers.flatMap((answer) => podIdentities(answer as Identities));
};

const text = (identities: readonly PodIdentity[]): string => {
  if (identities.length === 0) return "No proxy is connected.\n";
  const rows = identities.map(({ namespace, pod, spiffeId, serialNumber, notBefore, notAfter, root, problem }) => [
    `${namespace}/${pod}`,
    spiffeId,
    serialNumber,
    notBefore,
    notAfter,
    shortFingerprint(root),
    problem ?? "in force",
  ]);
  return table([["POD", "IDENTITY", "SERIAL", "FROM", "UNTIL", "ROOT", "STATE"], ...rows]);
};

const look = async (pods: readonly string[], options: IdentityOptions): Promise<number> => {
  const client = connect(options);
  const namespace = options.namespace ?? client.namespace;
  const wanted = new Set(pods.map((pod) => (pod.includes("/") ? pod : `${namespace}/${pod}`)));
  const isWanted = (identity: PodIdentity): boolean =>
    wanted.size > 0
      ? wanted.has(`${identity.namespace}/${identity.pod}`)
      : options.allNamespaces || identity.namespace === namespace;
  const byName = (left: PodIdentity, right: PodIdentity): number =>
    `${left.namespace}/${left.pod}` < `${right.namespace}/${right.pod}` ? -1 : 1;
  const identities = (await readIdentities(client)).filter(isWanted).sort(byName);
  const found = new Set(identities.map((identity) => `${identity.namespace}/${identity.pod}`));
  const missing = [...wanted].filter((pod) => !found.has(pod));
  process.stdout.write(formatted(identities, options.output, () => text(identities)));
  for (const pod of missing)
    console.error(
      `heddle identity: ${pod}: its proxy is connected to no replica of heddled: check the pod's name, that it has a sidecar, and the log of its container istio-proxy`,
    );
  return missing.length > 0 || identities.some(({ problem }) => problem !== undefined)
    ? exitCodes.findings
    : exitCodes.clean;
};

const run = async (pods: readonly string[], options: IdentityOptions): Promise<void> => {
  try {
    process.exitCode = await look(pods, options);
  } catch (error) {
    console.error(`heddle identity: ${(error as Error).message}`);
    process.exitCode = exitCodes.failure;
  }
};

export const registerIdentity = (program: Command): void => {
  const command = program
    .command("identity")
    .description("tell which certificate each pod's proxy holds, as it has acknowledged itself")
    .argument("[pods...]", "only these, as name or namespace/name")
    .option("-n, --namespace <name>", "namespace to tell of (default: the context's)")
    .option("-A, --all-namespaces", "tell of every namespace", false)
    .addHelpText(
      "after",
      "\nExit codes: 0 each holds what it should, 1 one does not or is not connected, 2 wrong use or no answer.\nNeeds: list of pods and create of pods/portforward in istio-system.",
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? exitCodes.clean : exitCodes.failure));
  clusterOptions(outputOption(command)).action(run);
};
