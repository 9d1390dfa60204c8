import type { StringMatch } from "../api/networking/virtual-service.js";
import type { HttpMatch, HttpRule } from "./virtual-service-rules.js";

const joined = (outer: string | undefined, inner: string | undefined): string =>
  [outer, inner].filter((name) => name !== undefined && name !== "").join("-");

const isPresence = ({ exact, prefix, regex }: StringMatch): boolean =>
  (exact === undefined && prefix === undefined && regex === undefined) || regex === "*";

/** Whether everything that fits the inner match fits the outer one; of regular expressions only if they are the same. */
const takesIn = (outer: StringMatch | undefined, inner: StringMatch | undefined): boolean => {
  if (outer === undefined || inner === undefined) return true;
  if (outer.exact === inner.exact && outer.prefix === inner.prefix && outer.regex === inner.regex) return true;
  if (isPresence(outer)) return true;
  if (outer.prefix === undefined || isPresence(inner)) return false;
  return (inner.exact ?? inner.prefix)?.startsWith(outer.prefix) ?? false;
};

type Fields = Readonly<Record<string, StringMatch>> | undefined;

const fieldsTakeIn = (outer: Fields, inner: Fields): boolean =>
  Object.entries(inner ?? {}).every(([name, value]) => takesIn(outer?.[name], value));

/** Why the delegate's match is not within the root's, as the name of the field; undefined if it is. */
const conflictOf = (outer: HttpMatch, inner: HttpMatch): string | undefined => {
  for (const field of ["uri", "scheme", "method", "authority"] as const)
    if (!takesIn(outer[field], inner[field])) return field;
  for (const field of ["headers", "withoutHeaders", "queryParams"] as const)
    if (!fieldsTakeIn(outer[field], inner[field])) return field;
  if (outer.uri !== undefined && inner.uri !== undefined && !outer.ignoreUriCase !== !inner.ignoreUriCase)
    return "ignoreUriCase";
  if (outer.port !== undefined && inner.port !== undefined && outer.port !== inner.port) return "port";
  if (outer.sourceNamespace !== undefined && inner.sourceNamespace !== undefined)
    if (outer.sourceNamespace !== inner.sourceNamespace) return "sourceNamespace";
  const labels = Object.entries(inner.sourceLabels ?? {});
  if (labels.some(([key, value]) => (outer.sourceLabels?.[key] ?? value) !== value)) return "sourceLabels";
  if (outer.gateways !== undefined && inner.gateways?.some((gateway) => !outer.gateways?.includes(gateway)))
    return "gateways";
  return undefined;
};

const withBoth = <Value>(
  outer: Readonly<Record<string, Value>> | undefined,
  inner: Readonly<Record<string, Value>> | undefined,
): Readonly<Record<string, Value>> | undefined =>
  outer === undefined && inner === undefined ? undefined : { ...outer, ...inner };

const mergedMatch = (outer: HttpMatch, inner: HttpMatch): HttpMatch => ({
  ...outer,
  ...inner,
  name: joined(outer.name, inner.name),
  headers: withBoth(outer.headers, inner.headers),
  withoutHeaders: withBoth(outer.withoutHeaders, inner.withoutHeaders),
  queryParams: withBoth(outer.queryParams, inner.queryParams),
  sourceLabels: withBoth(outer.sourceLabels, inner.sourceLabels),
});

type Merged<Value> = { readonly value: Value } | { readonly conflict: string };

const mergedMatches = (outer: readonly HttpMatch[], inner: readonly HttpMatch[]): Merged<readonly HttpMatch[]> => {
  if (outer.length === 0 || inner.length === 0) return { value: outer.length === 0 ? inner : outer };
  const value: HttpMatch[] = [];
  for (const [index, match] of inner.entries()) {
    const conflicts = outer.map((each) => conflictOf(each, match));
    const fitting = outer.filter((_each, at) => conflicts[at] === undefined);
    if (fitting.length === 0) return { conflict: `match[${index}].${conflicts[0]}` };
    value.push(...fitting.map((each) => mergedMatch(each, match)));
  }
  return { value };
};

/**
 * A rule of a delegate in the place of the rule that delegates: within the matches of both, with the root's policies
 * where it has none of its own. `conflict` is the field that is not within the root's match.
 */
export const mergeDelegated = (root: HttpRule, rule: HttpRule): Merged<HttpRule> => {
  const match = mergedMatches(root.match, rule.match);
  if ("conflict" in match) return match;
  return {
    value: {
      ...rule,
      name: joined(root.name, rule.name),
      match: match.value,
      rewrite: rule.rewrite ?? root.rewrite,
      timeoutMilliseconds: rule.timeoutMilliseconds ?? root.timeoutMilliseconds,
      retries: rule.retries ?? root.retries,
      fault: rule.fault ?? root.fault,
      mirrors: rule.mirrors ?? root.mirrors,
      corsPolicy: rule.corsPolicy ?? root.corsPolicy,
      headers: rule.headers ?? root.headers,
    },
  };
};
