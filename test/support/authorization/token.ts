import { matchesText } from "./text.js";
import type { Token } from "./types.js";

/** The token's payload (RFC 7519). */
export const payloadOf = ({
  issuer,
  subject,
  audiences,
  presenter,
  claims,
}: Token): Readonly<Record<string, unknown>> => ({
  ...claims,
  iss: issuer,
  ...(subject === undefined ? {} : { sub: subject }),
  ...(audiences === undefined ? {} : { aud: audiences }),
  ...(presenter === undefined ? {} : { azp: presenter }),
});

/** These are lists in one text (RFC 6749 3.3). */
const spaceDelimited = new Set(["scope", "permission"]);

const claimAt = (token: Token, path: readonly string[]): unknown => {
  const value = path.reduce<unknown>(
    (parent, key) =>
      typeof parent === "object" && parent !== null && !Array.isArray(parent) && Object.hasOwn(parent, key)
        ? (parent as Readonly<Record<string, unknown>>)[key]
        : undefined,
    payloadOf(token),
  );
  return typeof value === "string" && path.length === 1 && spaceDelimited.has(path[0]!) ? value.split(" ") : value;
};

/** A text, or one of a list's texts. Numbers, booleans and objects are none. */
export const matchesClaim = (pattern: string, token: Token | undefined, path: readonly string[]): boolean => {
  const value = token === undefined ? undefined : claimAt(token, path);
  return [value].flat().some((each) => typeof each === "string" && matchesText(pattern, each));
};

/**
 * `issuer/subject`, parted at the last slash, since issuers have slashes. Without a slash `prefix*` is of the issuer
 * and `*suffix` of the subject, the other being anything.
 */
export const matchesRequestPrincipal = (pattern: string, token: Token | undefined): boolean => {
  if (token?.subject === undefined) return false;
  const { issuer, subject } = token;
  const both = (ofIssuer: string, ofSubject: string): boolean =>
    matchesText(ofIssuer, issuer) && matchesText(ofSubject, subject);
  if (pattern === "*") return both("*", "*");
  const slash = pattern.lastIndexOf("/");
  if (slash >= 0) {
    const [ofIssuer, ofSubject] = [pattern.slice(0, slash), pattern.slice(slash + 1)];
    if (ofIssuer.startsWith("*")) return matchesText(ofIssuer, issuer) && ofSubject === subject;
    return ofIssuer === issuer && (ofSubject.endsWith("*") ? matchesText(ofSubject, subject) : ofSubject === subject);
  }
  if (pattern.startsWith("*")) return both("*", pattern);
  if (pattern.endsWith("*")) return both(pattern, "*");
  return pattern === issuer && subject === "";
};
