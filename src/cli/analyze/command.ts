import { type Command, Option } from "commander";
import type { Level } from "../../model/analysis/codes.js";
import { type ClusterOptions, clusterOptions, connect } from "../cluster/client.js";
import { collect, type Report } from "./collect.js";
import { readFiles } from "./files.js";
import { readCluster } from "./live.js";
import { meshConfigFor } from "./mesh.js";
import { asJson, asSarif, asText, type Result } from "./output.js";
import { inOrder, isSuppressed, levels, parseSuppression, reaches, type Suppression } from "./select.js";

export interface AnalyzeOptions extends ClusterOptions {
  readonly live: boolean;
  readonly namespace?: string;
  readonly allNamespaces: boolean;
  readonly output: "text" | "json" | "sarif";
  readonly failureThreshold: Level;
  readonly suppress: readonly string[];
  readonly meshConfig?: string;
  readonly clusterDomain: string;
}

const exitCodes = { clean: 0, findings: 1, failure: 2 } as const;

const look = async (paths: readonly string[], options: AnalyzeOptions): Promise<Result> => {
  if (paths.length === 0 && !options.live)
    throw new Error("give files or directories (- is standard input), or -k for the cluster");
  const suppressions: readonly Suppression[] = options.suppress.map(parseSuppression);
  const client = options.live ? connect(options) : undefined;
  const namespace = options.namespace ?? client?.namespace ?? "default";
  const files = await readFiles(paths, namespace);
  const live = client === undefined ? [] : await readCluster(client);
  const mesh = await meshConfigFor(options.meshConfig, options.clusterDomain, client);
  const { reports, resources } = collect([...live, ...files.objects], files.unreadable, mesh);
  const isWanted = (report: Report): boolean =>
    report.location !== undefined ||
    options.allNamespaces ||
    report.namespace === namespace ||
    (report.kind === "Namespace" && report.name === namespace);
  const wanted = reports.filter(isWanted).sort(inOrder);
  return {
    reports: wanted.filter((report) => !isSuppressed(report, suppressions)),
    suppressed: wanted.filter((report) => isSuppressed(report, suppressions)),
    resources,
    files: paths.length === 0 ? undefined : files.files,
  };
};

const render = (result: Result, output: AnalyzeOptions["output"]): string => {
  if (output === "json") return asJson(result);
  return output === "sarif" ? asSarif(result) : asText(result, process.stdout);
};

/** What the command prints and exits with. Rejects with an Error for wrong use and input that cannot be read. */
export const analyze = async (
  paths: readonly string[],
  options: AnalyzeOptions,
): Promise<{ readonly output: string; readonly exitCode: number }> => {
  const result = await look(paths, options);
  const fails = result.reports.some(({ level }) => reaches(level, options.failureThreshold));
  return { output: render(result, options.output), exitCode: fails ? exitCodes.findings : exitCodes.clean };
};

const run = async (paths: readonly string[], options: AnalyzeOptions): Promise<void> => {
  try {
    const { output, exitCode } = await analyze(paths, options);
    process.stdout.write(output);
    process.exitCode = exitCode;
  } catch (error) {
    console.error(`heddle analyze: ${(error as Error).message}`);
    process.exitCode = exitCodes.failure;
  }
};

const collectValue = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export const registerAnalyze = (program: Command): void => {
  const command = program
    .command("analyze")
    .description("tell what is wrong in files, in a cluster, or in a cluster once the files were applied")
    .argument("[paths...]", "files, directories with all below them, or - for standard input")
    .option("-k, --live", "read the cluster; files go on top of it", false)
    .option("-n, --namespace <name>", "namespace to tell of, and of objects that name none (default: the context's)")
    .option("-A, --all-namespaces", "tell of every namespace of the cluster", false)
    .addOption(new Option("-o, --output <format>", "what to print").choices(["text", "json", "sarif"]).default("text"))
    .addOption(
      new Option("--failure-threshold <level>", "exit with 1 from this level on").choices([...levels]).default("error"),
    )
    .option(
      "--suppress <code[=kind/namespace/name]>",
      "leave findings out, for resources such as Service/prod/*; may be repeated",
      collectValue,
      [],
    )
    .option("--mesh-config <file>", "MeshConfig as YAML (default: the cluster's, without -k the built-in one)")
    .option("--cluster-domain <domain>", "DNS domain of the cluster", "cluster.local")
    .addHelpText(
      "after",
      "\nExit codes: 0 nothing at the threshold or above, 1 findings, 2 wrong use or unreadable input.\nCodes: docs/analysis.md",
    )
    // Wrong options are no findings.
    .exitOverride((error) => process.exit(error.exitCode === 0 ? exitCodes.clean : exitCodes.failure));
  clusterOptions(command).action(run);
};
