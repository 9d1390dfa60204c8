import { fork } from "node:child_process";
import { resolve } from "node:path";
import { build } from "esbuild";

interface Question {
  readonly id: number;
  readonly command: string;
  readonly input: unknown;
}

interface Answer {
  readonly id: number;
  readonly output?: unknown;
  readonly error?: string;
}

export interface Child {
  readonly ask: <Output>(command: string, input?: unknown) => Promise<Output>;
  readonly stop: () => Promise<void>;
}

const checkout = resolve(import.meta.dirname, "../..");

/** As images are built: the loader that runs sources names every closure, which costs memory of its own. */
const bundle = async (name: string, folder: string): Promise<string> => {
  const outfile = resolve(folder, `.cache/bench/${name}.mjs`);
  await build({
    absWorkingDir: folder,
    entryPoints: [`bench/support/${name}.ts`],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "warning",
  });
  return outfile;
};

/** Starts bench/support/<name>.ts of a checkout as a process of its own, which answers what `serveParent` registers. */
export const startChild = async (name: string, folder = checkout, flags: readonly string[] = []): Promise<Child> => {
  const child = fork(await bundle(name, folder), [], {
    cwd: folder,
    execArgv: ["--expose-gc", ...flags],
    serialization: "advanced",
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let asked = 0;
  child.on("message", ({ id, output, error }: Answer) => {
    const asker = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) asker?.resolve(output);
    else asker?.reject(new Error(`${name}: ${error}`));
  });
  const ended = new Promise<void>((done) => {
    child.once("exit", (code, signal) => {
      for (const asker of waiting.values()) asker.reject(new Error(`${name}: ended with ${code ?? signal}`));
      done();
    });
  });
  return {
    ask: <Output>(command: string, input?: unknown): Promise<Output> => {
      const asker = Promise.withResolvers<unknown>();
      const id = ++asked;
      waiting.set(id, asker);
      child.send({ id, command, input } satisfies Question, (error) => {
        if (error !== null) asker.reject(error);
      });
      return asker.promise as Promise<Output>;
    },
    stop: async () => {
      // Left alone it ends by itself, and writes its profile if it was asked for one.
      child.disconnect();
      const impatience = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await ended;
      clearTimeout(impatience);
    },
  };
};

/** The child's side; the process ends with its parent. */
export const serveParent = (commands: Readonly<Record<string, (input: never) => unknown>>): void => {
  process.on("disconnect", () => process.exit(0));
  process.on("message", async ({ id, command, input }: Question) => {
    try {
      const handler = commands[command];
      if (handler === undefined) throw new Error(`no command ${command}`);
      process.send?.({ id, output: await handler(input as never) } satisfies Answer);
    } catch (error) {
      process.send?.({ id, error: (error as Error).message } satisfies Answer);
    }
  });
};
