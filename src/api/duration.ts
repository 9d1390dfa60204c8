const units: ReadonlyMap<string, number> = new Map([
  ["ns", 1e-6],
  ["us", 1e-3],
  ["µs", 1e-3],
  ["μs", 1e-3],
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
]);

const parts = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;
const longestText = 64;

/** Istio's durations ("1.5s", "100ms", "1h30m", "0") in milliseconds; undefined for anything else. */
export const parseDuration = (text: string): number | undefined => {
  if (text.length > longestText) return undefined;
  const negative = text.startsWith("-");
  const unsigned = /^[+-]/.test(text) ? text.slice(1) : text;
  if (unsigned === "0") return 0;
  let total = 0;
  let read = 0;
  for (const [part, amount, unit] of unsigned.matchAll(parts)) {
    total += Number(amount) * units.get(unit!)!;
    read += part.length;
  }
  if (read === 0 || read !== unsigned.length) return undefined;
  return negative ? -total : total;
};
