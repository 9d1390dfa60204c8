/** Edits (insert, delete, replace, swap of neighbours) between two words. */
const distance = (left: string, right: string): number => {
  let before: readonly number[] = [];
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const edits = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1));
      const isSwap = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      next.push(isSwap ? Math.min(edits, before[j - 2]! + 1) : edits);
    }
    before = row;
    row = next;
  }
  return row[right.length]!;
};

/** Longer than any name there is: comparing such a word would only cost time. */
const longestWord = 100;

/** `did you mean "x"?` for a near miss, otherwise the whole choice. */
export const suggest = (word: string, choices: readonly string[]): string => {
  const [best] =
    word.length > longestWord
      ? []
      : choices
          .map((choice) => ({ choice, edits: distance(word.toLowerCase(), choice.toLowerCase()) }))
          .sort((left, right) => left.edits - right.edits);
  return best !== undefined && best.edits <= Math.max(1, Math.floor(word.length / 3))
    ? `did you mean "${best.choice}"?`
    : `known are: ${choices.join(", ")}`;
};
