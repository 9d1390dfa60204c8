/** Levenshtein's distance. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
};

const plain = (name: string): string => name.replaceAll("_", "").toLowerCase();

/** The name that a misspelt one was surely meant to be. */
export const closest = (name: string, names: readonly string[]): string | undefined => {
  if (name.length > 100) return undefined;
  const wanted = plain(name);
  const [best] = names
    .map((candidate) => ({ candidate, far: distance(wanted, plain(candidate)) }))
    .sort((a, b) => a.far - b.far);
  return best !== undefined && best.far <= Math.max(1, Math.floor(wanted.length / 4)) ? best.candidate : undefined;
};
