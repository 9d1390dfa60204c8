/** `exact`, `prefix*`, `*suffix`, or `*` for anything that is not empty. A star elsewhere is a star. */
export const matchesText = (pattern: string, text: string): boolean => {
  if (pattern === "*") return text !== "";
  if (pattern.startsWith("*")) return text.endsWith(pattern.slice(1));
  if (pattern.endsWith("*")) return text.startsWith(pattern.slice(0, -1));
  return pattern === text;
};

export const matchesTextIgnoringCase = (pattern: string, text: string): boolean =>
  matchesText(pattern.toLowerCase(), text.toLowerCase());
