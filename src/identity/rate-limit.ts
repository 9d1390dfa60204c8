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

/** A token bucket for each key: true takes a token, false means there is none. */
export const createRateLimit = (options: RateLimitOptions): ((key: string) => boolean) => {
  const { burst, perSecond, keys = 10_000, now = Date.now } = options;
  const buckets = new Map<string, { readonly tokens: number; readonly at: number }>();
  return (key) => {
    const at = now();
    const before = buckets.get(key) ?? { tokens: burst, at };
    const tokens = Math.min(burst, before.tokens + (Math.max(0, at - before.at) / 1000) * perSecond);
    buckets.delete(key);
    buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at });
    if (buckets.size > keys) buckets.delete(buckets.keys().next().value!);
    return tokens >= 1;
  };
};
