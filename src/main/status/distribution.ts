import type { Pod } from "../../api/kubernetes.js";
import type { Compiler } from "../../compile/compiler.js";
import { keyOf } from "../../model/snapshot.js";
import type { ProxyIdentity } from "../../serve/configuration.js";
import type { Distribution } from "./conditions.js";

/** Which snapshot each connected proxy holds: one number a stream. */
export interface ProxyTracker {
  /** A stream is open; `isInSync` tells whether its proxy holds everything. */
  readonly open: (proxy: ProxyIdentity, isInSync: () => boolean) => TrackedStream;
  /** Of the proxies of pods that `concerned` holds for, how many hold what the snapshot of this version says. */
  readonly count: (version: number, concerned: (pod: Pod) => boolean) => Distribution;
  /** Version of the last snapshot that the proxy held whole; -1 if there is none. */
  readonly heldBy: (proxy: string) => number;
  /** Whether the proxy holds everything that it asked for; undefined if it is not connected. */
  readonly isInSync: (proxy: string) => boolean | undefined;
}

export interface TrackedStream {
  /** To be called after each answer and before each change that the stream is told of. */
  readonly answered: () => void;
  readonly close: () => void;
}

interface Stream {
  readonly key: string;
  readonly isInSync: () => boolean;
  /** Version of the last snapshot that the proxy held whole; -1 at first. */
  held: number;
}

export const trackProxies = (compiler: Pick<Compiler, "snapshot" | "onApplied">): ProxyTracker => {
  const streams = new Set<Stream>();
  // While a snapshot is applied, streams are told of its changes: until the end it is the one before that they hold.
  let applied = compiler.snapshot().version;
  compiler.onApplied(() => {
    applied = compiler.snapshot().version;
  });
  const note = (stream: Stream): void => {
    if (stream.held < applied && stream.isInSync()) stream.held = applied;
  };
  const concernedStreams = function* (concerned: (pod: Pod) => boolean): Generator<Stream> {
    const { pods } = compiler.snapshot();
    for (const stream of streams) {
      const pod = pods.get(stream.key);
      if (pod === undefined || !concerned(pod)) continue;
      note(stream);
      yield stream;
    }
  };
  return {
    open: ({ namespace, podName }, isInSync) => {
      const stream: Stream = { key: keyOf(namespace, podName), isInSync, held: -1 };
      streams.add(stream);
      return { answered: () => note(stream), close: () => streams.delete(stream) };
    },
    count: (version, concerned) => {
      const counted = { held: 0, proxies: 0 };
      for (const { held } of concernedStreams(concerned)) {
        counted.proxies += 1;
        if (held >= version) counted.held += 1;
      }
      return counted;
    },
    heldBy: (proxy) => Math.max(-1, ...[...streams].flatMap(({ key, held }) => (key === proxy ? [held] : []))),
    isInSync: (proxy) => {
      const own = [...streams].filter(({ key }) => key === proxy);
      return own.length === 0 ? undefined : own.some((stream) => stream.isInSync());
    },
  };
};
