import type { Finding } from "../../api/kind.js";
import type { Code } from "./codes.js";

/** A finding before it is known whose it is. */
export interface CodedFinding {
  readonly code: Code;
  /** Never an error: what depends on other resources must not refuse one, for they may come later. */
  readonly finding: Finding;
}

/** A finding of one resource; `namespace` is "" for cluster-scoped kinds. */
export interface AnalysisFinding extends CodedFinding {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export const found = (code: Code, path: string, message: string): CodedFinding => ({
  code,
  finding: { severity: "warning", path, message },
});

/** Up to five names and how many more there are. */
export const enumerate = (names: Iterable<string>): string => {
  const all = [...names];
  return all.length <= 5 ? all.join(", ") : `${all.slice(0, 5).join(", ")} and ${all.length - 5} more`;
};
