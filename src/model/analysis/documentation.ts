import { type Code, codeOf, codes, type Level } from "./codes.js";

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("*", "\\*");
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(" | ")} |`;

const sections: readonly (readonly [prefix: string, title: string])[] = [
  ["HDL00", "A resource by itself"],
  ["HDL01", "VirtualService"],
  ["HDL02", "DestinationRule"],
  ["HDL03", "ServiceEntry"],
  ["HDL04", "Selection and scope"],
  ["HDL05", "Services and pods"],
  ["HDL060", "AuthorizationPolicy"],
  ["HDL063", "RequestAuthentication"],
  ["HDL065", "Telemetry"],
];

const table = (prefix: string): string =>
  [
    row("code", "name", "level", "meaning", "cure", "Istio"),
    "|---|---|---|---|---|---|",
    ...(Object.keys(codes) as Code[])
      .filter((code) => code.startsWith(prefix))
      .map((code) => {
        const { name, level, meaning, cure, istio } = codeOf(code);
        return row(code, name, level, meaning, cure, istio ?? "");
      }),
  ].join("\n");

const levels: Readonly<Record<Level, string>> = {
  error: "traffic fails, or a rule is not in force",
  warning: "surely not meant",
  info: "good to know",
};

/** docs/analysis.md, made from the table that analysis itself uses. */
export const analysisDocument = (): string =>
  [
    "# Analysis",
    "`heddle analyze` tells what is wrong in files, in a cluster, or in a cluster as it would be once the files were applied. At admission the same findings come as warnings: a resource is never refused for what another one lacks.",
    [
      "```sh",
      "heddle analyze deploy/                 # files and directories, with line numbers; - is standard input",
      "heddle analyze -k -A                   # the cluster of the kubeconfig, every namespace",
      "heddle analyze -k -n prod rules.yaml   # the cluster with this file on top",
      "heddle analyze deploy/ -o sarif --failure-threshold warning --suppress HDL0501=Service/legacy/* >heddle.sarif",
      "```",
    ].join("\n"),
    "The exit code is 0 if nothing reaches `--failure-threshold` (`error` unless set), 1 if something does, and 2 for wrong use or input that cannot be read. `--suppress` takes a code, Istio's where there is one, or `CODE=kind/namespace/name` with `*` for any text. Files alone say little about what runs: selectors are held against a namespace's pods only if the files hold some of them.",
    `Levels: ${Object.entries(levels)
      .map(([level, meaning]) => `${level}, ${meaning}`)
      .join("; ")}. The last column is the code of \`istioctl analyze\` that says the same.`,
    ...sections.flatMap(([prefix, title]) => [`## ${title}`, table(prefix)]),
    "",
  ]
    .join("\n\n")
    .replace(/\n+$/, "\n");
