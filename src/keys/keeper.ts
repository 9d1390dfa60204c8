import type { KeySet } from "../api/security/key-set.js";
import type { RemoteKeySource } from "../api/security/request-authentication-schema.js";
import { DownloadError } from "./download.js";
import type { FetchedKeys } from "./fetch-keys.js";

/** A source, and how long one fetch of it may take. */
export interface WantedKeys {
  readonly source: RemoteKeySource;
  readonly timeoutMilliseconds: number;
}

export interface KeyCounts {
  /** Sources whose last fetch succeeded. */
  readonly current: number;
  /** Sources whose last fetch failed, with keys of an earlier one. */
  readonly stale: number;
  readonly missing: number;
}

export interface KeyKeeperOptions {
  readonly fetch: (wanted: WantedKeys, etag: string | undefined, signal: AbortSignal) => Promise<FetchedKeys>;
  /** Told when what is known of a source changes, and without a value when nobody wants it any more. */
  readonly changed: (id: string, keys: KeySet | undefined) => void;
  readonly fetched?: (outcome: "fetched" | "failed", counts: KeyCounts) => void;
  /** A source begins to fail, or fails otherwise than before. */
  readonly failed?: (source: RemoteKeySource, message: string, detail: string) => void;
  /** From a success to the next fetch; sooner if the answer says that it is fresh for less. */
  readonly refreshMilliseconds: number;
  /** From the first failure to the next try; then twice as long each time, up to `refreshMilliseconds` or 5 minutes. */
  readonly retryMilliseconds?: number;
  /** A number from 0 to 1, by which replicas and sources do not ask at the same moment. */
  readonly random?: () => number;
}

export interface KeyKeeper {
  /** Exactly these are fetched from now on. What is known of a source stays while it is wanted. */
  readonly follow: (wanted: ReadonlyMap<string, WantedKeys>) => void;
  /** Resolves when each source that is wanted now has been tried once. */
  readonly tried: () => Promise<void>;
  readonly stop: () => void;
}

interface Followed {
  wanted: WantedKeys;
  keys: KeySet | undefined;
  etag: string | undefined;
  failures: number;
  timer: NodeJS.Timeout | undefined;
  readonly abort: AbortController;
  readonly tried: PromiseWithResolvers<void>;
}

/** However short an answer says that it is fresh. */
const leastRefreshMilliseconds = 60_000;
const longestRetryMilliseconds = 300_000;

/** Keeps issuers' keys fetched, one fetch for each source, whoever wants it. The last good ones stay while it fails. */
export const createKeyKeeper = (options: KeyKeeperOptions): KeyKeeper => {
  const { refreshMilliseconds, retryMilliseconds = 1000, random = Math.random } = options;
  const followed = new Map<string, Followed>();

  const counts = (): KeyCounts => {
    const all = [...followed.values()];
    const missing = all.filter(({ keys }) => keys?.jwks === undefined).length;
    const stale = all.filter(({ keys }) => keys?.jwks !== undefined && keys.failure !== undefined).length;
    return { current: all.length - missing - stale, stale, missing };
  };

  const tell = (id: string, entry: Followed, keys: KeySet): void => {
    const before = entry.keys;
    entry.keys = keys;
    if (before?.jwks !== keys.jwks || before?.failure !== keys.failure) options.changed(id, keys);
  };

  const refreshAfter = (maxAgeSeconds: number | undefined): number => {
    const least = Math.min(leastRefreshMilliseconds, refreshMilliseconds);
    const fresh = maxAgeSeconds === undefined ? refreshMilliseconds : maxAgeSeconds * 1000;
    return Math.min(Math.max(fresh, least), refreshMilliseconds) * (0.8 + 0.2 * random());
  };

  const retryAfter = (failures: number): number => {
    const longest = Math.min(longestRetryMilliseconds, Math.max(refreshMilliseconds, retryMilliseconds));
    return Math.min(retryMilliseconds * 2 ** Math.min(failures - 1, 20), longest) * (0.5 + 0.5 * random());
  };

  const run = async (id: string, entry: Followed): Promise<void> => {
    const { signal } = entry.abort;
    let pause: number;
    try {
      const known = entry.keys?.jwks;
      const answer = await options.fetch(entry.wanted, known === undefined ? undefined : entry.etag, signal);
      if (signal.aborted) return;
      entry.failures = 0;
      if (!answer.isUnchanged) entry.etag = answer.etag;
      tell(id, entry, { jwks: answer.isUnchanged ? known : answer.jwks, failure: undefined });
      options.fetched?.("fetched", counts());
      pause = refreshAfter(answer.maxAgeSeconds);
    } catch (error) {
      if (signal.aborted) return;
      entry.failures += 1;
      const isDownload = error instanceof DownloadError;
      const failure = isDownload ? error.message : "the fetch failed for a reason of heddled's own";
      if (entry.keys?.failure !== failure)
        options.failed?.(entry.wanted.source, failure, isDownload ? error.detail : (error as Error).message);
      tell(id, entry, { jwks: entry.keys?.jwks, failure });
      options.fetched?.("failed", counts());
      pause = retryAfter(entry.failures);
    }
    entry.tried.resolve();
    entry.timer = setTimeout(() => void run(id, entry), pause).unref();
  };

  const drop = (entry: Followed): void => {
    clearTimeout(entry.timer);
    entry.abort.abort();
    entry.tried.resolve();
  };

  return {
    follow: (wanted) => {
      for (const [id, entry] of followed) {
        if (wanted.has(id)) continue;
        followed.delete(id);
        drop(entry);
        options.changed(id, undefined);
      }
      for (const [id, each] of wanted) {
        const known = followed.get(id);
        if (known !== undefined) {
          known.wanted = each;
          continue;
        }
        const entry: Followed = {
          wanted: each,
          keys: undefined,
          etag: undefined,
          failures: 0,
          timer: undefined,
          abort: new AbortController(),
          tried: Promise.withResolvers(),
        };
        followed.set(id, entry);
        void run(id, entry);
      }
    },
    tried: async () => {
      await Promise.all([...followed.values()].map(({ tried }) => tried.promise));
    },
    stop: () => {
      for (const entry of followed.values()) drop(entry);
      followed.clear();
    },
  };
};
