import { type Code, codeOf, codes, type Level } from "../../model/analysis/codes.js";
import type { Report } from "./collect.js";

export interface Suppression {
  readonly codes: ReadonlySet<Code>;
  readonly matches: (report: Report) => boolean;
}

const pattern = (text: string): RegExp =>
  new RegExp(`^${text.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*")}$`, "i");

const codesNamed = (name: string): readonly Code[] => {
  const wanted = name.toUpperCase();
  return (Object.keys(codes) as Code[]).filter((code) => code === wanted || codeOf(code).istio === wanted);
};

/** `CODE` or `CODE=kind/namespace/name`, with `*` for any text. CODE may be Istio's. Throws an Error with the cure. */
export const parseSuppression = (text: string): Suppression => {
  const [code = "", resource, ...rest] = text.split("=");
  const named = codesNamed(code);
  if (named.length === 0)
    throw new Error(`--suppress ${text}: ${code} is no code; docs/analysis.md lists them, such as HDL0501`);
  if (resource === undefined) return { codes: new Set(named), matches: () => true };
  const parts = resource.split("/");
  if (parts.length !== 3 || rest.length > 0 || parts.includes(""))
    throw new Error(`--suppress ${text}: write CODE=kind/namespace/name, such as ${code}=Service/prod/*`);
  const [kind, namespace, name] = parts.map(pattern) as [RegExp, RegExp, RegExp];
  return {
    codes: new Set(named),
    matches: (report) => kind.test(report.kind) && namespace.test(report.namespace) && name.test(report.name),
  };
};

export const isSuppressed = (report: Report, suppressions: readonly Suppression[]): boolean =>
  suppressions.some((suppression) => suppression.codes.has(report.code) && suppression.matches(report));

export const levels: readonly Level[] = ["error", "warning", "info"];

/** Whether a level weighs as much as the threshold. */
export const reaches = (level: Level, threshold: Level): boolean => levels.indexOf(level) <= levels.indexOf(threshold);

/** By place: files first, in order; then what only a cluster has. */
export const inOrder = (left: Report, right: Report): number => {
  const place = ({ location, kind, namespace, name }: Report): readonly (string | number)[] => [
    location === undefined ? 1 : 0,
    location?.file ?? `${namespace}/${kind}/${name}`,
    location?.line ?? 0,
    location?.column ?? 0,
  ];
  const [own, other] = [place(left), place(right)];
  for (let index = 0; index < own.length; index++)
    if (own[index] !== other[index]) return own[index]! < other[index]! ? -1 : 1;
  return levels.indexOf(left.level) - levels.indexOf(right.level);
};
