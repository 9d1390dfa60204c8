/** Any that exists, in the order of age, then name, then namespace: who comes first wins a conflict. */
export const byAge = (
  left: {
    readonly metadata?: { readonly creationTimestamp?: unknown; readonly name?: string; readonly namespace?: string };
  },
  right: typeof left,
): number => {
  const orderOf = ({ metadata }: typeof left): string =>
    `${String(metadata?.creationTimestamp ?? "")} ${metadata?.name ?? ""} ${metadata?.namespace ?? ""}`;
  const [a, b] = [orderOf(left), orderOf(right)];
  return a < b ? -1 : a > b ? 1 : 0;
};
