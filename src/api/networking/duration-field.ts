import { Type } from "typebox";
import { parseDuration } from "../duration.js";
import { error, show } from "../findings.js";
import type { Finding } from "../kind.js";

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

/** The longest time that Envoy's clocks can count to. */
const longestMilliseconds = 1000 * 2 ** 31;

/** Findings of the durations among the fields of `object`; a field in `zeroes` may be 0. */
export const durationFindings = (
  path: string,
  object: Readonly<Record<string, unknown>>,
  fields: readonly string[],
  zeroes: readonly string[] = [],
): readonly Finding[] =>
  fields.flatMap((field) => {
    const value = object[field];
    if (value === undefined) return [];
    const milliseconds = typeof value === "string" ? parseDuration(value) : undefined;
    const at = `${path}.${field}`;
    if (milliseconds === undefined)
      return [error(at, `${show(value)} is not a duration: write a number and a unit, such as 1.5s, 100ms or 1h`)];
    if (milliseconds === 0 && zeroes.includes(field)) return [];
    if (milliseconds < 1) return [error(at, `${show(value)} is too short: give at least 1ms, or leave the field out`)];
    if (milliseconds > longestMilliseconds)
      return [error(at, `${show(value)} is too long: give 68 years at most, or leave the field out`)];
    return [];
  });
