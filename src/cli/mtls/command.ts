import { type Command, Option } from "commander";
import { meshConfigFor } from "../analyze/mesh.js";
import { type ClusterOptions, clusterOptions, connect } from "../cluster/client.js";
import { collect } from "../options.js";
import { parseSeconds } from "../progress.js";
import { ask } from "./ask.js";
import { readMesh, withPolicies } from "./cluster.js";
import { asJson, asText, asYaml, type Shown } from "./output.js";
import { type MtlsQuestion, type MtlsReport, mtlsReport, podsToAsk } from "./report.js";

interface CheckOptions extends ClusterOptions {
  readonly filename: readonly string[];
  readonly namespace?: string;
  readonly allNamespaces: boolean;
  readonly watchFor?: number;
  readonly output: "text" | "wide" | "json" | "yaml";
  readonly clusterDomain: string;
}

const exitCodes = { nobody: 0, someone: 1, failure: 2, incomplete: 3 } as const;

const exitCodeOf = ({ cutOff, unanswered }: MtlsReport): number => {
  if (cutOff > 0) return exitCodes.someone;
  return unanswered.length > 0 ? exitCodes.incomplete : exitCodes.nobody;
};

const render = (shown: Shown, output: CheckOptions["output"]): string => {
  if (output === "json") return asJson(shown);
  return output === "yaml" ? asYaml(shown) : asText(shown, output === "wide", process.stdout);
};

const check = async (options: CheckOptions): Promise<void> => {
  const client = connect(options);
  const files = options.filename.length === 0 ? undefined : options.filename;
  const mesh = await meshConfigFor(undefined, options.clusterDomain, client);
  const snapshot = await readMesh(client, mesh);
  const home = options.namespace ?? client.namespace;
  const isEverywhere = options.allNamespaces || (files !== undefined && options.namespace === undefined);
  const question: MtlsQuestion = {
    snapshot,
    next: files && (await withPolicies(snapshot, files, home)),
    isInScope: (namespace) => isEverywhere || namespace === home,
  };
  const answers = await ask(client, podsToAsk(question), options.watchFor);
  const report = mtlsReport(question, answers);
  process.stdout.write(render({ report, files, windowSeconds: options.watchFor }, options.output));
  process.exitCode = exitCodeOf(report);
};

const run = async (options: CheckOptions): Promise<void> => {
  try {
    await check(options);
  } catch (error) {
    console.error(`heddle mtls check: ${(error as Error).message}`);
    process.exitCode = exitCodes.failure;
  }
};

export const registerMtls = (program: Command): void => {
  const mtls = program.command("mtls").description("mutual TLS: who does not use it");
  const command = mtls
    .command("check")
    .description("tell which plaintext callers a move to STRICT would cut off, from what the proxies count")
    .addOption(
      new Option("-f, --filename <path>", "PeerAuthentications to come; may be repeated")
        .argParser(collect)
        .default([], "STRICT"),
    )
    .option("-n, --namespace <name>", "namespace of the servers (default: the context's; with -f all)")
    .option("-A, --all-namespaces", "servers of every namespace", false)
    .option(
      "--watch-for <time>",
      "judge by what comes within this time, such as 60s, and by what is open",
      parseSeconds,
    )
    .addOption(
      new Option("-o, --output <format>", "what to print").choices(["text", "wide", "json", "yaml"]).default("text"),
    )
    .option("--cluster-domain <domain>", "DNS domain of the cluster", "cluster.local")
    .addHelpText(
      "after",
      "\nExit codes: 0 nobody would be cut off, 1 somebody would, 2 wrong use or an unreadable cluster,\n3 nobody as far as is known, but some pods could not be asked.\nMore: docs/security.md",
    )
    .exitOverride((error) => process.exit(error.exitCode === 0 ? exitCodes.nobody : exitCodes.failure));
  clusterOptions(command).action(run);
};
