export interface RateLimitOptions {
  /** What one key may do at once. */
  readonly burst: number;
  /** What comes back to it in each second. */
  readonly perSecond: number;
  /** How many keys are remembered; the one that was idle longest is forgotten first. */
  readonly keys?: number;
  /** Milliseconds. */
  readonly now?: () => number;
}

export interface RateLimit {
  /** Whether there was a token, which is gone then. */
  readonly take: (key: string) => boolean;
  /** Returns what `take` took: it was not to count. */
  readonly giveBack: (key: string) => void;
}

/** A token bucket for each key. */
export const createRateLimit = (options: RateLimitOptions): RateLimit => {
  const { burst, perSecond, keys = 10_000, now = Date.now } = options;
  const buckets = new Map<string, { readonly tokens: number; readonly at: number }>();
  const change = (key: string, by: number): boolean => {
    const at = now();
    const before = buckets.get(key) ?? { tokens: burst, at };
    const tokens = Math.min(burst, before.tokens + (Math.max(0, at - before.at) / 1000) * perSecond);
    const hasEnough = tokens + by >= 0;
    buckets.delete(key);
    buckets.set(key, { tokens: Math.min(burst, hasEnough ? tokens + by : tokens), at });
    if (buckets.size > keys) buckets.delete(buckets.keys().next().value!);
    return hasEnough;
  };
  return { take: (key) => change(key, -1), giveBack: (key) => void change(key, 1) };
};
