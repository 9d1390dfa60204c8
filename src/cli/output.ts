import { type Command, Option } from "commander";
import { stringify } from "yaml";

export type OutputFormat = "text" | "json" | "yaml";

export const outputOption = (command: Command): Command =>
  command.addOption(
    new Option("-o, --output <format>", "what to print").choices(["text", "json", "yaml"]).default("text"),
  );

/** The value in this format; `text` is asked for only where that is it. */
export const formatted = (value: object, format: OutputFormat, text: () => string): string => {
  if (format === "json") return `${JSON.stringify(value, null, 2)}\n`;
  return format === "yaml" ? stringify(value) : text();
};

/** Rows under their heads, in columns as wide as they need. */
export const table = (rows: readonly (readonly string[])[], indent = ""): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows
    .map((row) => `${indent}${row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ")}`.trimEnd())
    .map((line) => `${line}\n`)
    .join("");
};

/** The first digits of a fingerprint, enough to tell roots apart. */
export const shortFingerprint = (sha256: string): string => sha256.slice(0, 16);
