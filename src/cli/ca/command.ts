import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { distrustAnnotation, recordName, rotateAnnotation } from "../../main/certificates/record.js";
import { createApiClient } from "../../watch/api-client.js";
import { type ClusterClient, type ClusterOptions, clusterOptions, connect, explain } from "../cluster/client.js";
import { waitUntil } from "../cluster/readiness.js";
import { namespace } from "../manifests/context.js";
import { formatted, type OutputFormat, outputOption } from "../output.js";
import { confirm, parseSeconds, runSteps } from "../progress.js";
import { type AuthorityView, readAuthorityView } from "./record.js";
import { plainStatus, statusText } from "./status.js";

interface StatusOptions extends ClusterOptions {
  readonly output: OutputFormat;
}

interface DistrustOptions extends ClusterOptions {
  readonly yes: boolean;
  readonly timeout: number;
}

interface RotateOptions extends ClusterOptions {
  readonly yes: boolean;
  readonly wait: boolean;
  readonly timeout: number;
}

const status = async (options: StatusOptions): Promise<void> => {
  const view = await readAuthorityView(connect(options));
  process.stdout.write(formatted(plainStatus(view), options.output, () => statusText(view)));
};

/** Throws an Error with the cure if the authority cannot be rotated, or not now. */
const checkRotatable = ({ status: { origin, phase } }: AuthorityView): void => {
  if (origin === "operator")
    throw new Error(
      "the certificate authority is the operator's (Secret istio-system/cacerts), and heddled does not rotate it: replace what that Secret holds, the new root beside the old one first, as docs/certificates.md says",
    );
  if (phase === "distributing" || phase === "reissuing")
    throw new Error(`a rotation is under way (${phase}): let it come to its end, which heddle ca status shows`);
};

const annotate = async (client: ClusterClient, annotation: string, value: string): Promise<void> => {
  const path = `/api/v1/namespaces/${namespace}/configmaps/${recordName}`;
  try {
    await createApiClient(client.kubeConfig).call(path, {
      method: "PATCH",
      contentType: "application/merge-patch+json",
      body: { metadata: { annotations: { [annotation]: value } } },
    });
  } catch (error) {
    throw explain(client, `ConfigMap ${namespace}/${recordName}`, error);
  }
};

const rotate = async (options: RotateOptions): Promise<void> => {
  const client = connect(options);
  checkRotatable(await readAuthorityView(client));
  await confirm(
    `Rotate the root of the mesh in context ${client.context}? Every workload certificate is issued anew; no connection is dropped.`,
    options.yes,
  );
  const request = randomUUID();
  await annotate(client, rotateAnnotation, request);
  if (!options.wait) {
    console.log("Asked for a rotation of the root. Follow it with: heddle ca status");
    return;
  }
  let view = await readAuthorityView(client);
  const look = async (isDone: () => boolean): Promise<string | undefined> => {
    view = await readAuthorityView(client);
    const { rotation, refused, waitingFor } = view.status;
    if (refused?.request === request) throw new Error(refused.reason);
    if (rotation?.request !== request) return "heddled has not begun yet";
    return isDone() ? undefined : waitingFor.join("; ") || "under way";
  };
  const cure = async (): Promise<string> =>
    "the rotation goes on by itself: see heddle ca status, and kubectl -n istio-system logs deployment/heddled";
  await runSteps([
    {
      title: "The new root is trusted everywhere",
      run: async (tell) => {
        const isSigning = (): boolean => view.status.rotation?.signingSince !== undefined;
        await waitUntil(options.timeout, () => look(isSigning), tell, cure);
        return undefined;
      },
    },
    {
      title: "Every certificate is issued anew",
      run: async (tell) => {
        const isReissued = (): boolean => view.status.phase === "retiring" || view.status.phase === "none";
        await waitUntil(options.timeout, () => look(isReissued), tell, cure);
        return undefined;
      },
    },
  ]);
  const until = view.status.roots
    .flatMap(({ trustedUntil }) => trustedUntil ?? [])
    .sort()
    .at(-1);
  console.log(
    until === undefined
      ? "The new root signs, and no earlier one is trusted."
      : `The new root signs. The earlier one stays trusted until ${until}, when its last certificate has ended.`,
  );
};

const distrust = async (root: string, options: DistrustOptions): Promise<void> => {
  const client = connect(options);
  const given = root.replaceAll(":", "").toLowerCase();
  const { roots } = (await readAuthorityView(client)).status;
  const found = roots.filter(({ sha256 }) => sha256.startsWith(given));
  const [only] = found;
  if (only === undefined || found.length > 1 || given.length < 8)
    throw new Error(
      `${root}: names ${found.length} of the trusted roots; give at least 8 digits of the SHA-256 of one: ${roots.map(({ sha256 }) => sha256).join(", ")}`,
    );
  if (only.trustedUntil === undefined)
    throw new Error(`${root}: is in force; let another one sign first, with heddle ca rotate --wait`);
  await confirm(
    `Drop root ${only.sha256} from the mesh in context ${client.context} at once? Whoever still holds a certificate under it is refused.`,
    options.yes,
  );
  await annotate(client, distrustAnnotation, only.sha256);
  const isTrusted = async (): Promise<string | undefined> => {
    const view = await readAuthorityView(client);
    const holders = [...view.reports].filter(([, report]) => report.roots.includes(only.sha256));
    return holders.length === 0 ? undefined : `${holders.map(([name]) => name).join(", ")} still trust it`;
  };
  await runSteps([
    {
      title: "No replica trusts it",
      run: async (tell) => {
        await waitUntil(options.timeout, isTrusted, tell, async () => "see heddle ca status");
        return undefined;
      },
    },
  ]);
  console.log("Proxies that run trust it for their connection to heddled until their pods are restarted.");
};

export const registerCa = (program: Command): void => {
  const ca = program.command("ca").description("the mesh's certificate authority: what it is, and its rotation");
  clusterOptions(
    outputOption(
      ca.command("status").description("tell which roots are trusted, which one signs, and how far a rotation is"),
    ),
  ).action(status);
  clusterOptions(
    ca
      .command("rotate")
      .description("make a new root, and let it sign once everyone trusts it")
      .option("-y, --yes", "do not ask", false)
      .option("--wait", "wait until every certificate is of the new root", false)
      .option("--timeout <time>", "how long to wait for each phase", parseSeconds, 600),
  ).action(rotate);
  clusterOptions(
    ca
      .command("distrust")
      .description("drop an earlier root before its time, because its key is in other hands")
      .argument("<root>", "its SHA-256, or the first digits")
      .option("-y, --yes", "do not ask", false)
      .option("--timeout <time>", "how long to wait until it is dropped", parseSeconds, 120),
  ).action(distrust);
};
