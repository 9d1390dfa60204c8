import { styleText } from "node:util";
import { type Code, codeOf, codes, type Level } from "../../model/analysis/codes.js";
import { version } from "../version.js";
import type { Report } from "./collect.js";
import { levels } from "./select.js";

export interface Result {
  readonly reports: readonly Report[];
  /** Found, but not to be told. */
  readonly suppressed: readonly Report[];
  readonly resources: number;
  /** Undefined if no file was read. */
  readonly files: number | undefined;
}

const colours = { error: "red", warning: "yellow", info: "blue" } as const;

const resourceOf = ({ kind, namespace, name }: Report): string =>
  kind === "" ? "" : `${kind} ${namespace === "" ? "" : `${namespace}/`}${name}`;

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Three lines a finding: where and what, the field, the message; then how many there are. */
export const asText = ({ reports, suppressed, resources, files }: Result, stream: NodeJS.WriteStream): string => {
  const paint = (style: Parameters<typeof styleText>[0], text: string): string => styleText(style, text, { stream });
  const blocks = reports.map((report) => {
    const { code, level, path, message, location } = report;
    const place = location === undefined ? "" : `${location.file}:${location.line}:${location.column}: `;
    const field = [resourceOf(report), path].filter((part) => part !== "").join("  ");
    return [
      `${place}${paint(colours[level], level)} ${paint("bold", code)} ${codeOf(code).name}`,
      ...(field === "" ? [] : [`  ${field}`]),
      `  ${message}`,
      "",
    ].join("\n");
  });
  const counts = levels
    .map((level) => [level, reports.filter((report) => report.level === level).length] as const)
    .filter(([, count]) => count > 0)
    .map(([level, count]) => (level === "info" ? `${count} info` : counted(count, level)));
  const scope = `${counted(resources, "resource")}${files === undefined ? "" : ` of ${counted(files, "file")}`}`;
  const hidden = suppressed.length === 0 ? "" : ` (${suppressed.length} suppressed)`;
  const summary = counts.length === 0 ? `Nothing found in ${scope}` : `${counts.join(", ")} in ${scope}`;
  return [...blocks, `${summary}${hidden}.`, ""].join("\n");
};

const asPlain = (report: Report) => ({
  code: report.code,
  name: codeOf(report.code).name,
  level: report.level,
  ...(report.kind === "" ? {} : { kind: report.kind, namespace: report.namespace, resource: report.name }),
  path: report.path,
  message: report.message,
  ...(report.location === undefined ? {} : report.location),
});

export const asJson = ({ reports, suppressed, resources, files }: Result): string =>
  `${JSON.stringify({ resources, ...(files === undefined ? {} : { files }), findings: reports.map(asPlain), suppressed: suppressed.map(asPlain) }, null, 2)}\n`;

const sarifLevels: Readonly<Record<Level, string>> = { error: "error", warning: "warning", info: "note" };
const allCodes = Object.keys(codes) as readonly Code[];

const sarifRule = (code: Code) => {
  const { name, level, meaning, cure, istio } = codeOf(code);
  return {
    id: code,
    name,
    shortDescription: { text: meaning },
    help: { text: `${meaning} ${cure}`, markdown: `${meaning}\n\n**Cure:** ${cure}` },
    defaultConfiguration: { level: sarifLevels[level] },
    ...(istio === undefined ? {} : { properties: { tags: [istio] } }),
  };
};

/** A path relative to the working directory, as a URI reference. */
const uriOf = (file: string): string => file.split("/").map(encodeURIComponent).join("/");

const sarifResult = (report: Report, isSuppressed: boolean) => {
  const { code, level, path, message, location } = report;
  const resource = resourceOf(report);
  return {
    ruleId: code,
    ruleIndex: allCodes.indexOf(code),
    level: sarifLevels[level],
    message: { text: [resource, path, message].filter((part) => part !== "").join(": ") },
    locations: [
      {
        ...(location === undefined
          ? {}
          : {
              physicalLocation: {
                artifactLocation: { uri: uriOf(location.file) },
                region: { startLine: location.line, startColumn: location.column },
              },
            }),
        ...(resource === ""
          ? {}
          : {
              logicalLocations: [
                { name: report.name, kind: "resource", fullyQualifiedName: `${resource.replace(" ", "/")}#${path}` },
              ],
            }),
      },
    ],
    ...(isSuppressed ? { suppressions: [{ kind: "external" }] } : {}),
  };
};

/** SARIF 2.1.0, one run; what is suppressed is there and marked so. */
export const asSarif = ({ reports, suppressed }: Result): string => {
  const log = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "heddle analyze", version, rules: allCodes.map(sarifRule) } },
        columnKind: "utf16CodeUnits",
        results: [
          ...reports.map((report) => sarifResult(report, false)),
          ...suppressed.map((report) => sarifResult(report, true)),
        ],
      },
    ],
  };
  return `${JSON.stringify(log, null, 2)}\n`;
};
