import { isWithin } from "./host.js";

/** Wildcard patterns that a host name matches, the most specific first, without the name itself: `*.b.c`, `*.c`, `*`. */
export const wildcardsOf = (host: string): readonly string[] => {
  const patterns: string[] = [];
  const start = host.startsWith("*.") ? 2 : 0;
  for (let dot = host.indexOf(".", start); dot !== -1; dot = host.indexOf(".", dot + 1))
    patterns.push(`*${host.slice(dot)}`);
  patterns.push("*");
  return patterns;
};

/** Whether a pattern (a name, or a wildcard such as `*.example.com`) stands for the host; both in lower case. */
export const hostMatches = (pattern: string, host: string): boolean =>
  pattern === host || (pattern.startsWith("*") && isWithin(host, pattern));

/** Whether proxies of a namespace see what is exported to these. */
export const isExportedTo = (exportTo: ReadonlySet<string>, namespace: string): boolean =>
  exportTo.has("*") || exportTo.has(namespace);

/** `exportTo` of a resource: `.` becomes its own namespace, nothing the default, `~` no namespace. */
export const exportTargets = (
  listed: readonly string[] | undefined,
  namespace: string,
  fallback: readonly string[],
): ReadonlySet<string> =>
  new Set(
    (listed === undefined || listed.length === 0 ? fallback : listed)
      .filter((target) => target !== "~")
      .map((target) => (target === "." ? namespace : target)),
  );
