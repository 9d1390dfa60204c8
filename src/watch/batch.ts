import type { ObjectEvent } from "../api/kubernetes.js";

export interface Batcher {
  readonly add: (event: ObjectEvent) => void;
  readonly flush: () => void;
  readonly subscribe: (listener: (events: readonly ObjectEvent[]) => void) => void;
  readonly stop: () => void;
}

const keyOf = ({ kind, namespace, name }: ObjectEvent): string => `${kind}/${namespace}/${name}`;

/**
 * Gathers events until none has come for `quiet` ms, `max` ms at the longest. Of several events of one object the last
 * one counts. A listener that subscribes late is first given everything that exists.
 */
export const createBatcher = (quiet = 10, max = 100): Batcher => {
  const listeners: ((events: readonly ObjectEvent[]) => void)[] = [];
  const delivered = new Map<string, ObjectEvent>();
  let pending = new Map<string, ObjectEvent>();
  let quietTimer: NodeJS.Timeout | undefined;
  let maxTimer: NodeJS.Timeout | undefined;

  const stop = (): void => {
    clearTimeout(quietTimer);
    clearTimeout(maxTimer);
    maxTimer = undefined;
  };

  const flush = (): void => {
    stop();
    if (pending.size === 0) return;
    const events = [...pending.values()];
    pending = new Map();
    for (const event of events)
      if (event.object === undefined) delivered.delete(keyOf(event));
      else delivered.set(keyOf(event), event);
    for (const listener of listeners) listener(events);
  };

  return {
    add: (event) => {
      pending.set(keyOf(event), event);
      clearTimeout(quietTimer);
      quietTimer = setTimeout(flush, quiet);
      maxTimer ??= setTimeout(flush, max);
    },
    flush,
    subscribe: (listener) => {
      listeners.push(listener);
      if (delivered.size > 0) listener([...delivered.values()]);
    },
    stop,
  };
};
