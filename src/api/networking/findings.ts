import { parseDuration } from "../duration.js";
import { error as fault, show as shown } from "../findings.js";
import type { Finding } from "../kind.js";

export { error as fault, show as shown, warning } from "../findings.js";

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
      return [fault(at, `${shown(value)} is not a duration: write a number and a unit, such as 1.5s, 100ms or 1h`)];
    if (milliseconds === 0 && zeroes.includes(field)) return [];
    if (milliseconds < 1) return [fault(at, `${shown(value)} is too short: give at least 1ms, or leave the field out`)];
    if (milliseconds > 315_576_000_000 * 1000)
      return [fault(at, `${shown(value)} is too long: 10000 years at most, or leave the field out`)];
    return [];
  });

/** Findings of labels to select by: a wildcard or an empty key selects nothing and is surely not meant. */
export const labelFindings = (path: string, labels: Readonly<Record<string, string>>): readonly Finding[] =>
  Object.entries(labels).flatMap(([key, value]) => {
    const at = `${path}[${key}]`;
    if (!/^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/.test(key))
      return [fault(at, `${shown(key)} is no label name: write letters, digits, -, _ and . with an optional prefix/`)];
    if (!/^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/.test(value))
      return [
        fault(
          at,
          `${shown(value)} is no label value: write up to 63 letters, digits, -, _ and .; wildcards do not work`,
        ),
      ];
    return [];
  });
