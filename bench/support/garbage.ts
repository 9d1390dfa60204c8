import { setTimeout as delay } from "node:timers/promises";

/** All of it, and the emptied pages given back; needs --expose-gc. */
export const collectGarbage = async (): Promise<void> => {
  for (let round = 0; round < 3; round++) {
    globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
    await delay(50);
  }
};
