import { createServer } from "node:net";

/** A number of this machine that no other process has; it is free again when the process ends, however it ends. */
export interface Slot {
  readonly number: number;
  readonly release: () => void;
}

/** Takes one of 249 numbers, by an abstract socket: one process at a time holds its name. */
export const takeSlot = async (kind: string): Promise<Slot> => {
  for (let number = 1; number < 250; number += 1) {
    const lock = createServer();
    const isOurs = await new Promise<boolean>((resolve) => {
      lock.once("error", () => resolve(false));
      lock.listen(`\0heddle-${kind}-${number}`, () => resolve(true));
    });
    if (isOurs) return { number, release: () => void lock.unref().close() };
  }
  throw new Error("249 meshes run on this machine already; end one of them");
};
