export interface KeeperOptions {
  /** The keys of what is not as it should be. */
  readonly wrong: () => Iterable<string>;
  /** Puts one right. */
  readonly write: (key: string) => Promise<void>;
  readonly failed: (error: Error) => void;
}

export interface Keeper {
  /** Looks what is wrong, and puts it right; to be called after each change. */
  readonly check: () => void;
  /** The same, when it is something else that should be: nobody has undone that yet, so nothing waits. */
  readonly renew: () => void;
  /** Whether nothing is wrong. */
  readonly isRight: () => boolean;
  readonly stop: () => void;
}

const mostAtOnce = 8;
const memoryMilliseconds = 60_000;
const longestPauseMilliseconds = 30_000;

/**
 * Keeps things as they should be. The first write of each comes at once; one that fails, or that another writer undoes
 * again and again, is repeated with growing pauses.
 */
export const createKeeper = ({ wrong, write, failed }: KeeperOptions): Keeper => {
  /** When each key was written, within the last minute. */
  const recent = new Map<string, readonly number[]>();
  const waiting = new Map<string, NodeJS.Timeout>();
  const running = new Set<string>();
  const queue = new Set<string>();
  let stopped = false;

  const pauseOf = (key: string): number => {
    const since = Date.now() - memoryMilliseconds;
    const writes = (recent.get(key) ?? []).filter((at) => at > since);
    if (writes.length === 0) recent.delete(key);
    else recent.set(key, writes);
    return writes.length === 0 ? 0 : Math.min(125 * 2 ** writes.length, longestPauseMilliseconds);
  };

  const schedule = (key: string): void => {
    if (stopped || waiting.has(key) || running.has(key) || queue.has(key)) return;
    const pause = pauseOf(key);
    if (pause === 0) {
      enqueue(key);
      return;
    }
    const timer = setTimeout(() => {
      waiting.delete(key);
      if ([...wrong()].includes(key)) enqueue(key);
    }, pause);
    timer.unref();
    waiting.set(key, timer);
  };

  const enqueue = (key: string): void => {
    queue.add(key);
    next();
  };

  const next = (): void => {
    for (const key of queue) {
      if (stopped || running.size >= mostAtOnce) return;
      queue.delete(key);
      running.add(key);
      recent.set(key, [...(recent.get(key) ?? []), Date.now()]);
      write(key)
        .catch(failed)
        .finally(() => {
          running.delete(key);
          check();
          next();
        });
    }
  };

  const check = (): void => {
    for (const key of wrong()) schedule(key);
  };

  return {
    check,
    isRight: () => running.size === 0 && [...wrong()].length === 0,
    renew: () => {
      recent.clear();
      for (const timer of waiting.values()) clearTimeout(timer);
      waiting.clear();
      check();
    },
    stop: () => {
      stopped = true;
      for (const timer of waiting.values()) clearTimeout(timer);
    },
  };
};
