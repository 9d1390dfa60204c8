import { createInterface } from "node:readline/promises";
import { Listr } from "listr2";

/** One step of a command; `tell` shows what it is at. What it resolves to is shown beside its title. */
export interface Step {
  readonly title: string;
  readonly run: (tell: (state: string) => void) => Promise<string | undefined>;
}

/** Without a terminal, steps that take no longer than this say only how they ended. */
const quietMilliseconds = 2000;

/** Runs the steps one after the other, live on a terminal and as plain lines elsewhere; rejects with the first failure. */
export const runSteps = async (steps: readonly Step[]): Promise<void> => {
  if (!process.stdout.isTTY) {
    for (const { title, run } of steps) {
      let [last, spoken] = ["", performance.now()];
      const result = await run((state) => {
        if (state === last || performance.now() - spoken < quietMilliseconds) return;
        console.log(`  ${title}: ${state}`);
        [last, spoken] = [state, performance.now()];
      });
      console.log(`✔ ${title}${result === undefined ? "" : `: ${result}`}`);
    }
    return;
  }
  await new Listr(
    steps.map(({ title, run }) => ({
      title,
      task: async (_, task): Promise<void> => {
        const result = await run((state) => {
          task.output = state;
        });
        if (result !== undefined) task.title = `${title}: ${result}`;
      },
    })),
    { concurrent: false, exitOnError: true, rendererOptions: { collapseErrors: false, showErrorMessage: false } },
  ).run();
};

/** Asks on a terminal; elsewhere there is nobody to ask, and `-y` has to be given. */
export const confirm = async (question: string, yes: boolean): Promise<void> => {
  if (yes) return;
  if (!process.stdin.isTTY) throw new Error(`${question} Nobody is there to say yes: add -y`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) throw new Error("nothing was done");
  } finally {
    terminal.close();
  }
};

/** "90s", "3m" or a number of seconds. */
export const parseSeconds = (text: string): number => {
  const match = /^(\d{1,5})(s|m)?$/.exec(text);
  if (match === null) throw new Error(`"${text}" is not a time; write such as 90s or 3m`);
  return Number(match[1]) * (match[2] === "m" ? 60 : 1);
};
