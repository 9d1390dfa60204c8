/** The value below which this share of the samples lies; 0 without samples. */
export const quantile = (samples: readonly number[], share: number): number => {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
};

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);
