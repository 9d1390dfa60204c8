import type { Finding } from "./kind.js";

const longestShown = 60;
const mostShown = 8;

/** So much of a value as can be shown: what is long, wide or deep is cut before it costs time. */
const excerpt = (value: unknown, depth: number): unknown => {
  if (typeof value === "string") return value.slice(0, longestShown);
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "...";
  if (Array.isArray(value)) return value.slice(0, mostShown).map((item) => excerpt(item, depth - 1));
  const entries: [string, unknown][] = [];
  for (const name in value) {
    if (entries.length === mostShown) break;
    entries.push([name.slice(0, longestShown), excerpt((value as Record<string, unknown>)[name], depth - 1)]);
  }
  return Object.fromEntries(entries);
};

/** A value as JSON, cut where it would fill the message. Never throws. */
export const show = (value: unknown): string => {
  let text: string;
  try {
    text = JSON.stringify(excerpt(value, 4)) ?? String(value);
  } catch {
    return "a value that is no JSON";
  }
  return text.length > longestShown ? `${text.slice(0, longestShown - 3)}...` : text;
};

export const error = (path: string, message: string): Finding => ({ severity: "error", path, message });
export const warning = (path: string, message: string): Finding => ({ severity: "warning", path, message });

/** One error, if there is a fault to tell. */
export const errorIf = (path: string, fault: string | undefined): readonly Finding[] =>
  fault === undefined ? [] : [error(path, fault)];

/** The path of a member, in brackets where it is no plain field name: `spec.labels["a.b/c"]`. */
export const member = (path: string, name: string): string =>
  /^[A-Za-z_]\w{0,80}$/.test(name) ? `${path}${path === "" ? "" : "."}${name}` : `${path}[${show(name)}]`;

/** Indexes of the values that an earlier one equals. */
export const repeated = (values: readonly unknown[]): readonly number[] => {
  const seen = new Set<unknown>();
  return values.flatMap((value, index) => (seen.size === seen.add(value).size ? [index] : []));
};
