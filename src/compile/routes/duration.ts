/** Envoy's Duration of milliseconds. */
export const durationOf = (milliseconds: number): { readonly seconds: bigint; readonly nanos: number } => {
  const nanoseconds = BigInt(Math.round(milliseconds * 1_000_000));
  return { seconds: nanoseconds / 1_000_000_000n, nanos: Number(nanoseconds % 1_000_000_000n) };
};
