import { matchesText } from "./text.js";

const unreserved = /[A-Za-z0-9\-._~]/;

/**
 * The path that policies see under `pathNormalization: BASE`: without query, `\` as `/`, percent-encoded unreserved
 * characters decoded, and dot segments resolved (RFC 3986 5.2.4). Slashes are not merged, case is left alone.
 */
export const pathSeen = (target: string): string => {
  const path = (target.split(/[?#]/)[0] ?? "")
    .replaceAll("\\", "/")
    .replaceAll(/%([0-9A-Fa-f]{2})/g, (encoded, digits: string) => {
      const character = String.fromCharCode(Number.parseInt(digits, 16));
      return unreserved.test(character) ? character : encoded;
    });
  const segments: string[] = [];
  const parts = path.split("/").slice(1);
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    if (part === "..") segments.pop();
    else if (part !== ".") segments.push(part);
    if (isLast && (part === "." || part === "..")) segments.push("");
  }
  return `/${segments.join("/")}`;
};

/** What a segment of a template takes, found by asking Envoy for every character: all but brackets. */
const segment = "[^/[\\]]";
const literal = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** `{*}` is one segment that is not empty, `{**}` any number of characters and slashes, none too. */
export const matchesTemplate = (template: string, path: string): boolean => {
  const regex = template
    .split("/")
    .map((part) => (part === "{*}" ? `${segment}+` : part === "{**}" ? `[^[\\]]*` : literal(part)))
    .join("/");
  return new RegExp(`^${regex}$`).test(path);
};

export const matchesPath = (pattern: string, target: string): boolean => {
  const path = pathSeen(target);
  return pattern.includes("{*}") || pattern.includes("{**}")
    ? matchesTemplate(pattern, path)
    : matchesText(pattern, path);
};
