import type { XdsObserver } from "../../serve/server.js";

const quietMilliseconds = 60;
const lostMilliseconds = 1500;

/** Tells from the xDS server's metrics when every proxy has answered what it was sent. */
export const createSettling = (): {
  readonly observer: XdsObserver;
  /** Resolves when nothing was sent or answered for a moment and nothing waits for an answer. */
  readonly settled: () => Promise<void>;
  readonly refused: () => number;
} => {
  let outstanding = 0;
  let refused = 0;
  let last = performance.now();
  const note = (change: number): void => {
    outstanding += change;
    last = performance.now();
  };
  return {
    observer: {
      connected: () => note(0),
      pushed: () => note(1),
      acked: () => note(-1),
      nacked: () => {
        refused += 1;
        note(-1);
      },
      refused: () => {},
    },
    settled: async () => {
      // What has just been changed is on its way: a batch and a turn of the event loop come before the first push.
      note(0);
      for (;;) {
        const quiet = performance.now() - last;
        if (quiet > (outstanding <= 0 ? quietMilliseconds : lostMilliseconds)) break;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      // What a proxy that went away has not answered is answered by nobody.
      outstanding = 0;
    },
    refused: () => refused,
  };
};
