import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { RunningPod } from "../../../src/cli/run/pod.js";
import type { DriverRequest, DriverResponse } from "./driver.js";

/** One process in a pod's network that sends what it is told to; as the application's user, so the redirect sees it. */
export interface PodClient {
  readonly send: (request: DriverRequest) => Promise<readonly DriverResponse[]>;
  readonly close: () => Promise<void>;
}

const user = { uid: 65534, gid: 65534 };

export const startClient = ({ network, name }: RunningPod): PodClient => {
  const [program = "", ...rest] = network.wrap(
    [process.execPath, "--disable-warning=ExperimentalWarning", join(import.meta.dirname, "driver.ts")],
    user,
  );
  const child = spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"] });
  const waiting = new Map<number, PromiseWithResolvers<readonly DriverResponse[]>>();
  let last = 0;
  child.stdin.on("error", () => {});
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { id, responses, error } = JSON.parse(line) as {
      readonly id: number;
      readonly responses?: readonly DriverResponse[];
      readonly error?: string;
    };
    if (responses === undefined) waiting.get(id)?.reject(new Error(error));
    else waiting.get(id)?.resolve(responses);
    waiting.delete(id);
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  void ended.then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`the client in pod ${name} has ended`));
  });
  return {
    send: (request) => {
      const id = ++last;
      const answer = Promise.withResolvers<readonly DriverResponse[]>();
      waiting.set(id, answer);
      child.stdin.write(`${JSON.stringify({ id, ...request })}\n`);
      return answer.promise;
    },
    close: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
};
