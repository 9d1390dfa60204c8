import { spawnSync } from "node:child_process";
import { join } from "node:path";

export interface Verdict {
  readonly outcome: "clean" | "vulnerable" | "not asked";
  readonly text: string;
}

interface Report {
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string }>>;
  readonly metadata?: { readonly dependencies?: { readonly total?: number } };
  readonly message?: string;
  readonly error?: { readonly summary?: string };
}

const grave: ReadonlySet<string> = new Set(["high", "critical"]);

const read = (output: string): Report => {
  try {
    return JSON.parse(output) as Report;
  } catch {
    return { message: "npm audit gave no answer" };
  }
};

/** What `npm audit --json` said. An advisory service that did not answer is no clean bill. */
export const judge = (output: string): Verdict => {
  const { vulnerabilities, message, error } = read(output);
  if (vulnerabilities === undefined) {
    const why = message || error?.summary || "npm audit gave no answer";
    return { outcome: "not asked", text: `NOT CHECKED: the registry could not be asked for advisories (${why})` };
  }
  const names = Object.entries(vulnerabilities).map(([name, { severity }]) => ({ severity, name }));
  const listed = names.map(({ severity, name }) => `${severity}: ${name}`).join("\n  ");
  if (names.some(({ severity }) => grave.has(severity)))
    return { outcome: "vulnerable", text: `known vulnerabilities in what is shipped:\n  ${listed}` };
  if (names.length > 0) return { outcome: "clean", text: `nothing grave is known; lesser:\n  ${listed}` };
  return { outcome: "clean", text: "no known vulnerability in what is shipped" };
};

if (import.meta.main) {
  const { stdout } = spawnSync("npm", ["audit", "--json", "--omit", "dev"], {
    cwd: join(import.meta.dirname, "..", ".."),
    encoding: "utf8",
    timeout: 60_000,
  });
  const { outcome, text } = judge(stdout ?? "");
  console.log(`audit: ${text}`);
  if (outcome === "vulnerable") process.exitCode = 1;
}
