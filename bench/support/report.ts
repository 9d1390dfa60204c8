import { availableParallelism, loadavg } from "node:os";

export type Row = Readonly<Record<string, string | number>>;

const text = (value: string | number | undefined): string => {
  if (typeof value !== "number") return value ?? "";
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(value < 1 ? 3 : 2);
};

/** Prints an aligned table; with `--json` among the arguments, each row follows it as one line of JSON. */
export const report = (title: string, rows: readonly Row[], table: readonly Row[] = rows): void => {
  const columns = [...new Set(table.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...table.map((row) => columns.map((column) => text(row[column])))];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)));
  const load = loadavg()[0]!.toFixed(1);
  console.log(`\n${title} (${availableParallelism()} cores, load average ${load})`);
  for (const line of lines)
    console.log(
      line
        .map((cell, at) => cell.padEnd(widths[at]!))
        .join("  ")
        .trimEnd(),
    );
  if (process.argv.includes("--json")) for (const row of rows) console.log(JSON.stringify({ bench: title, ...row }));
};

/** For wide rows: a column a run. */
export const transposed = (rows: readonly Row[]): readonly Row[] =>
  Object.keys(rows[0] ?? {}).map((measured) => ({
    measured,
    ...Object.fromEntries(rows.map((row, at) => [`run ${at + 1}`, row[measured] ?? ""])),
  }));

/** A positive number given as `--name value`; throws an Error that says what to write. */
export const numberOption = (name: string, fallback: number): number => {
  const at = process.argv.indexOf(`--${name}`);
  if (at < 0) return fallback;
  const value = Number(process.argv[at + 1]);
  if (!(value > 0)) throw new Error(`--${name} ${process.argv[at + 1]}: write a number above 0`);
  return value;
};

export const textOption = (name: string): string | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
