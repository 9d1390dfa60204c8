import { execFile, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import { paths } from "./settings.ts";

/** A process that outlives the script that started it. `started` (clock ticks since boot) tells it from a reused pid. */
export interface Daemon {
  readonly name: string;
  readonly pid: number;
  readonly started: string;
}

const execute = promisify(execFile);

/** Runs a command to its end and returns its standard output; throws with its standard error when it fails. */
export const run = async (
  command: string,
  commandArguments: readonly string[],
  options: {
    readonly input?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
    readonly deadlineSeconds?: number;
  } = {},
): Promise<string> => {
  const running = execute(command, [...commandArguments], {
    maxBuffer: 64 * 1024 * 1024,
    timeout: (options.deadlineSeconds ?? 600) * 1000,
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  running.child.stdin?.on("error", () => {});
  running.child.stdin?.end(options.input ?? "");
  return (await running).stdout;
};

/** Runs a command whose failure is an answer too: its standard output, or undefined. */
export const tryRun = (command: string, commandArguments: readonly string[]): Promise<string | undefined> =>
  run(command, commandArguments, { deadlineSeconds: 60 }).catch(() => undefined);

/** Waits until `condition` gives a value that is neither undefined nor false; throws when the deadline passes. */
export const waitFor = async <Value>(
  what: string,
  condition: () => Promise<Value | undefined | false> | Value | undefined | false,
  deadlineSeconds = 60,
): Promise<Value> => {
  const deadline = performance.now() + deadlineSeconds * 1000;
  let last = "";
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (performance.now() > deadline) throw new Error(`${what}: not so within ${deadlineSeconds} s${last}`);
    await pause(200);
  }
};

const startTimeOf = (pid: number): string | undefined => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
};

export const readDaemons = (): readonly Daemon[] => {
  try {
    return JSON.parse(readFileSync(paths.daemons, "utf8")) as readonly Daemon[];
  } catch {
    return [];
  }
};

const writeDaemons = (daemons: readonly Daemon[]): void =>
  writeFileSync(paths.daemons, `${JSON.stringify(daemons, undefined, 2)}\n`);

export const isAlive = (daemon: Daemon): boolean => startTimeOf(daemon.pid) === daemon.started;

/** Starts a daemon with its output in the logs folder and records its pid. */
export const startDaemon = (
  name: string,
  command: string,
  commandArguments: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Daemon => {
  mkdirSync(paths.logs, { recursive: true });
  const log = openSync(join(paths.logs, `${name}.log`), "w");
  const child = spawn(command, commandArguments, {
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...process.env, ...env },
  });
  closeSync(log);
  child.unref();
  const pid = child.pid;
  const started = pid === undefined ? undefined : startTimeOf(pid);
  if (pid === undefined || started === undefined) throw new Error(`${name}: ${command} did not start`);
  const daemon = { name, pid, started };
  writeDaemons([...readDaemons(), daemon]);
  return daemon;
};

/** The last lines of a daemon's log, for error messages. */
export const logTail = (name: string): string => {
  try {
    return readFileSync(join(paths.logs, `${name}.log`), "utf8")
      .split("\n")
      .slice(-25)
      .join("\n");
  } catch {
    return "";
  }
};

/** Waits for a daemon to answer; its death or silence ends in an error with the end of its log. */
export const waitForDaemon = async (daemon: Daemon, ready: () => Promise<boolean>, seconds = 60): Promise<void> => {
  let dead = false;
  await waitFor(
    `${daemon.name} is ready`,
    async () => {
      dead = !isAlive(daemon);
      return dead || ready();
    },
    seconds,
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${logTail(daemon.name)}`);
  });
  if (dead) throw new Error(`${daemon.name} ended:\n${logTail(daemon.name)}`);
};

const signal = (daemon: Daemon, name: NodeJS.Signals): void => {
  if (isAlive(daemon)) process.kill(daemon.pid, name);
};

/** Ends daemons by their recorded pids: SIGTERM, and SIGKILL after three seconds. */
export const stopDaemons = async (chosen: (daemon: Daemon) => boolean = () => true): Promise<void> => {
  for (const daemon of readDaemons().filter(chosen).toReversed()) {
    signal(daemon, "SIGTERM");
    await waitFor(`${daemon.name} ended`, () => !isAlive(daemon), 3).catch(() => signal(daemon, "SIGKILL"));
    writeDaemons(readDaemons().filter((other) => other.pid !== daemon.pid));
  }
};
