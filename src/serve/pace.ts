export interface Pace {
  /** At most this many pieces in one turn of the event loop… */
  readonly most: number;
  /** …and none is begun after so long. */
  readonly milliseconds: number;
}

/**
 * Does pieces of work in order, but lets the event loop go round between them: when a thousand proxies come at once,
 * everything else that this process answers is to wait for a few of them, not for all.
 */
export const createPacer = ({ most, milliseconds }: Pace): ((work: () => void) => void) => {
  let waiting: (() => void)[] = [];
  let next = 0;
  let isScheduled = false;
  const drain = (): void => {
    const until = performance.now() + milliseconds;
    for (let done = 0; done < most && next < waiting.length && performance.now() < until; done++) waiting[next++]!();
    isScheduled = next < waiting.length;
    if (isScheduled) setImmediate(drain);
    else {
      waiting = [];
      next = 0;
    }
  };
  return (work) => {
    waiting.push(work);
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(drain);
  };
};
