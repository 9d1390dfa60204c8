import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PodNetwork } from "../../src/cli/run/network.js";
import { runInside } from "./pods.js";
import { quantile } from "./statistics.js";

export interface Load {
  readonly requestsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
}

const milliseconds = (text: string): number => {
  const [, value, unit] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? [];
  return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit as "us" | "ms" | "s"];
};

const found = (pattern: RegExp, output: string): string => {
  const value = pattern.exec(output)?.[1];
  if (value === undefined) throw new Error(`no ${pattern} in:\n${output}`);
  return value;
};

/** HTTP/1.1 by wrk, on kept connections or on a new one for each request. Rejects if a request failed. */
export const loadHttp1 = async (
  from: PodNetwork,
  url: string,
  connections: number,
  seconds: number,
  isKept = true,
): Promise<Load> => {
  const header = isKept ? [] : ["-H", "Connection: close"];
  const output = await runInside(
    from,
    ...["wrk", "--latency", "-t", "1", "-c", String(connections), "-d", `${seconds}s`, ...header, url],
  );
  if (/Non-2xx/.test(output)) throw new Error(`${url}: some requests failed:\n${output}`);
  return {
    requestsPerSecond: Number(found(/Requests\/sec:\s+([\d.]+)/, output)),
    p50Milliseconds: milliseconds(found(/50%\s+([\d.]+\w+)/, output)),
    p99Milliseconds: milliseconds(found(/99%\s+([\d.]+\w+)/, output)),
  };
};

/** HTTP/2 in cleartext by h2load, ten streams a connection. Rejects if a request failed. */
export const loadHttp2 = async (from: PodNetwork, url: string, connections: number, seconds: number): Promise<Load> => {
  const log = join(tmpdir(), `heddle-h2load-${process.pid}-${performance.now()}`);
  try {
    const output = await runInside(
      from,
      ...["h2load", "-D", String(seconds), "-c", String(connections), "-m", "10", `--log-file=${log}`, url],
    );
    if (!/ 0 failed, 0 errored/.test(output)) throw new Error(`${url}: some requests failed:\n${output}`);
    const durations = (await readFile(log, "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => Number(line.split("\t")[2]) / 1000);
    return {
      requestsPerSecond: Number(found(/finished in [\d.]+\w+, ([\d.]+) req\/s/, output)),
      p50Milliseconds: quantile(durations, 0.5),
      p99Milliseconds: quantile(durations, 0.99),
    };
  } finally {
    await rm(log, { force: true });
  }
};
