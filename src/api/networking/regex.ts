import { RE2JS } from "re2js";

/** Istio's limit; what is longer is better said as several matches. */
const longestPattern = 1024;
/** What the proxies' bootstrap allows (`re2.max_program_size.error_level`). */
const largestProgram = 32_768;
/** For all regular expressions of one resource: so that a hostile one cannot keep the control plane or a proxy busy. */
const totalBudget = 1_000_000;
const costOfOne = 50;

interface Instruction {
  readonly op: number;
  readonly runes: readonly number[] | undefined;
}

/** Instructions that match characters, in re2js. */
const firstRuneOperation = 8;

interface Size {
  readonly instructions: number;
  readonly ranges: number;
}

/** Envoy's RE2 has one instruction and more for each range of bytes, and reads patterns as Latin-1. */
const sizeOf = (pattern: RE2JS): Size => {
  const { inst } = (pattern.re2() as unknown as { readonly prog: { readonly inst: readonly Instruction[] } }).prog;
  let instructions = 0;
  let ranges = 0;
  for (const { op, runes } of inst) {
    const isOfRunes = op >= firstRuneOperation;
    instructions += isOfRunes ? 2 : 1;
    ranges += isOfRunes ? (runes?.length ?? 0) / 2 : 0;
    if (isOfRunes) instructions += runes?.filter((rune, index) => index % 2 === 0 && rune < 256).length ?? 0;
  }
  return { instructions, ranges };
};

const compile = (text: string): (Size & { readonly groups: number }) | { readonly fault: string } => {
  if (Buffer.byteLength(text) > longestPattern)
    return { fault: `is longer than ${longestPattern} bytes; use several matches` };
  if ([...text.matchAll(/\\x\{([0-9a-f]+)\}/gi)].some(([, code]) => Number.parseInt(code!, 16) > 0xff))
    return { fault: "names a character beyond \\x{FF}; write its UTF-8 bytes, as in \\xE2\\x82\\xAC" };
  try {
    const pattern = RE2JS.compile(Buffer.from(text, "utf8").toString("latin1"));
    return { ...sizeOf(pattern), groups: pattern.groupCount() };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^error parsing regexp: /, "") : String(error);
    return { fault: `is no regular expression in RE2 syntax: ${reason}` };
  }
};

export interface RegexCheck {
  /** What is wrong with a regular expression, or undefined. */
  readonly fault: (text: string) => string | undefined;
  /** What is wrong with a substitution for it, where `\1` is its first group. */
  readonly substitutionFault: (text: string, substitution: string) => string | undefined;
}

/** Compiles each regular expression of one resource once, as far as the budget goes. */
export const createRegexCheck = (): RegexCheck => {
  const known = new Map<string, ReturnType<typeof compile>>();
  let spent = 0;
  const compiled = (text: string): ReturnType<typeof compile> => {
    const before = known.get(text);
    if (before !== undefined) return before;
    if (spent > totalBudget)
      return { fault: "is one too many: the regular expressions of this resource are too large together" };
    const result = compile(text);
    spent += costOfOne + ("groups" in result ? result.instructions + result.ranges / 4 : text.length);
    const checked =
      "groups" in result && result.instructions > largestProgram
        ? { fault: `grows too large (${result.instructions} instructions, ${largestProgram} at most); repeat less` }
        : result;
    known.set(text, checked);
    return checked;
  };
  return {
    fault: (text) => {
      if (text === "") return 'is empty; leave the regular expression out or use ".*"';
      const result = compiled(text);
      return "fault" in result ? result.fault : undefined;
    },
    substitutionFault: (text, substitution) => {
      const result = compiled(text);
      const references = substitution.replaceAll("\\\\", "");
      if (/\\(?!\d)/.test(references)) return "has a backslash without a digit; write \\\\ for a backslash";
      const highest = Math.max(0, ...[...references.matchAll(/\\(\d)/g)].map(([, digit]) => Number(digit)));
      return "groups" in result && highest > result.groups
        ? `refers to group ${highest}, but the regular expression has ${result.groups}`
        : undefined;
    },
  };
};
