import { styleText } from "node:util";
import { stringify } from "yaml";
import type { CallerReport, MtlsReport, PortReport } from "./report.js";
import type { Volume } from "./statistics.js";

export interface Shown {
  readonly report: MtlsReport;
  /** Undefined: all that the proxies have counted. */
  readonly windowSeconds: number | undefined;
  /** Files with PeerAuthentications; undefined: STRICT for all. */
  readonly files: readonly string[] | undefined;
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

const volume = ({ connections, requests }: Volume): string =>
  [
    ...(requests === 0 ? [] : [counted(requests, "request")]),
    ...(connections === 0 ? [] : [counted(connections, "connection")]),
  ].join(", ") || "-";

const table = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
};

const portOf = ({ port }: PortReport): string => (port === "other" ? "others" : String(port));

const portRow = (port: PortReport, isWide: boolean): readonly string[] => [
  port.namespace,
  port.workload,
  portOf(port),
  ...(isWide ? [String(port.pods), port.policy ?? "none", port.nextMode] : []),
  port.mode,
  volume(port.mtls),
  volume(port.plaintext),
  port.callers.length === 0 ? "-" : String(port.callers.length),
];

const rate = (caller: CallerReport, windowSeconds: number | undefined): string => {
  if (windowSeconds === undefined) return "";
  const each = (caller.requests + caller.connections) / windowSeconds;
  return ` (${each >= 10 ? each.toFixed(0) : each.toPrecision(2)}/s)`;
};

const who = ({ kind, name, workload, node }: CallerReport): string => {
  if (kind === "unknown") return "unknown";
  if (kind === "node") return `node ${name}`;
  const [namespace] = name.split("/");
  const made = workload === undefined ? `pod ${name}` : `${namespace} ${workload}, pod ${name}`;
  return node === undefined ? made : `${made} on ${node}`;
};

const callerLine = (caller: CallerReport, windowSeconds: number | undefined): string => {
  const open = caller.open === 0 ? "" : `${caller.requests + caller.connections === 0 ? "" : ", "}${caller.open} open`;
  const sent = caller.requests + caller.connections === 0 ? "" : `${volume(caller)}${rate(caller, windowSeconds)}`;
  return `    ${caller.address}  ${who(caller)}: ${sent}${open}; ${caller.reason}`;
};

const isQuiet = ({ mtls, plaintext, callers, port }: PortReport): boolean =>
  port === "other" && callers.length === 0 && mtls.connections + plaintext.connections === 0;

/** A table of the ports that would move, then each caller that would be cut off, then what is not known. */
export const asText = (
  { report, windowSeconds, files }: Shown,
  isWide: boolean,
  stream: NodeJS.WriteStream,
): string => {
  const paint = (style: Parameters<typeof styleText>[0], text: string): string => styleText(style, text, { stream });
  const move = files === undefined ? "STRICT" : files.join(", ");
  if (report.ports.length === 0 && report.unanswered.length === 0)
    return `${move} closes no port of a pod with a sidecar that takes plaintext now.\n`;
  const header = [
    ...["NAMESPACE", "WORKLOAD", "PORT"],
    ...(isWide ? ["PODS", "POLICY", "AFTER"] : []),
    ...["MODE", "MUTUAL TLS", "PLAINTEXT", "CALLERS"],
  ];
  const shown = report.ports.filter((port) => isWide || !isQuiet(port));
  const cut = report.ports.filter(({ callers }) => callers.length > 0);
  const lines = [
    ...(shown.length === 0 ? [] : table([header, ...shown.map((port) => portRow(port, isWide))])),
    ...cut.flatMap((port) => [
      "",
      `${paint("red", "would be cut off")} from ${port.namespace} ${port.workload}, port ${portOf(port)}:`,
      ...port.callers.map((caller) => callerLine(caller, windowSeconds)),
    ]),
    ...(report.unanswered.length === 0 ? [] : ["", paint("yellow", "not known, so that this is incomplete:")]),
    ...report.unanswered.map(({ pod, reason }) => `    pod ${pod}: ${reason}`),
    "",
  ];
  const seen =
    windowSeconds === undefined ? "since the proxies began to count" : `within ${counted(windowSeconds, "second")}`;
  const verdict =
    report.cutOff === 0
      ? `No plaintext caller was seen ${seen}.`
      : `${move} would cut off ${counted(report.cutOff, "caller")} seen ${seen}.`;
  return [...lines, verdict, ""].join("\n");
};

const plain = ({ report, windowSeconds, files }: Shown): object => ({
  ...(files === undefined ? {} : { files }),
  ...(windowSeconds === undefined ? {} : { windowSeconds }),
  cutOff: report.cutOff,
  isComplete: report.unanswered.length === 0,
  ports: report.ports,
  unanswered: report.unanswered,
});

export const asJson = (shown: Shown): string => `${JSON.stringify(plain(shown), null, 2)}\n`;
export const asYaml = (shown: Shown): string => stringify(plain(shown), { aliasDuplicateObjects: false });
