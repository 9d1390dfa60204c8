import { error, member, show } from "../findings.js";
import type { Finding } from "../kind.js";

const name = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const content = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;

/** Findings of labels to select by: a wildcard or a malformed label selects nothing and is surely not meant. */
export const checkLabels = (path: string, labels: Readonly<Record<string, string>>): readonly Finding[] =>
  Object.entries(labels).flatMap(([key, value]) => {
    const at = member(path, key);
    if (!name.test(key))
      return [error(at, `${show(key)} is no label name: write letters, digits, -, _ and . with an optional prefix/`)];
    return content.test(value)
      ? []
      : [
          error(
            at,
            `${show(value)} is no label value: write up to 63 letters, digits, -, _ and .; wildcards do not work`,
          ),
        ];
  });
