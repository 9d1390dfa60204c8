import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { recordName, rotateAnnotation } from "../../main/certificates/record.js";
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

const ask = async (client: ClusterClient, request: string): Promise<void> => {
  const path = `/api/v1/namespaces/${namespace}/configmaps/${recordName}`;
  try {
    await createApiClient(client.kubeConfig).call(path, {
      method: "PATCH",
      contentType: "application/merge-patch+json",
      body: { metadata: { annotations: { [rotateAnnotation]: request } } },
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
  await ask(client, request);
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
};
