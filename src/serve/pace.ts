export interface Pace {
  /** How long a turn of the event loop should take, with all that the work brings about in later turns. */
  readonly turnMilliseconds: number;
  /** At most this many pieces in one turn; Infinity for work that brings nothing about later. */
  readonly most: number;
}

export interface EventLoop {
  /** Milliseconds. */
  readonly now: () => number;
  readonly nextTurn: (action: () => void) => void;
}

/**
 * Does pieces of work in order, but lets the event loop go round between them: when a thousand proxies come at once,
 * everything else that this process answers is to wait for a few of them, not for all. Turns that take long are given
 * fewer pieces, quick ones more.
 */
export const createPacer = (
  { turnMilliseconds, most }: Pace,
  { now, nextTurn }: EventLoop = { now: () => performance.now(), nextTurn: setImmediate },
): ((work: () => void) => void) => {
  let waiting: (() => void)[] = [];
  let next = 0;
  let isScheduled = false;
  let pieces = most;
  let turnBegan = 0;
  const drain = (): void => {
    const began = now();
    pieces = began - turnBegan > turnMilliseconds ? Math.max(1, Math.floor(pieces / 2)) : Math.min(most, pieces + 1);
    turnBegan = began;
    for (let done = 0; done < pieces && next < waiting.length; done++) {
      waiting[next++]!();
      if (now() - began > turnMilliseconds) break;
    }
    isScheduled = next < waiting.length;
    if (isScheduled) nextTurn(drain);
    else {
      waiting = [];
      next = 0;
    }
  };
  return (work) => {
    waiting.push(work);
    if (isScheduled) return;
    isScheduled = true;
    turnBegan = now();
    nextTurn(drain);
  };
};
