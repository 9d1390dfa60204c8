import { Type } from "typebox";

const unitMilliseconds: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)/g;
const whole = /^-?((\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h))+$/;

/** Milliseconds of Istio's duration text ("1.5s", "100ms", "1h30m", "0"); undefined for anything else. */
export const parseDuration = (text: string): number | undefined => {
  if (text === "0") return 0;
  if (text.length > 64 || !whole.test(text)) return undefined;
  let milliseconds = 0;
  for (const [, amount, unit] of text.matchAll(part)) milliseconds += Number(amount) * unitMilliseconds[unit!]!;
  return text.startsWith("-") ? -milliseconds : milliseconds;
};

/** A field that holds a duration, at least a millisecond unless zero has a meaning of its own. */
export const durationField = (description: string, options: { readonly zero?: boolean } = {}) =>
  Type.String({
    format: "duration",
    description,
    "x-kubernetes-validations": [
      options.zero === true
        ? { rule: "duration(self) >= duration('0s')", message: "must not be negative" }
        : { rule: "duration(self) >= duration('1ms')", message: "must be at least 1ms" },
    ],
  });
