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

/** Against the one text `issuer/subject`; a token that lacks either has none. */
export const matchesRequestPrincipal = (pattern: string, token: Token | undefined): boolean =>
  token?.subject !== undefined &&
  token.subject !== "" &&
  token.issuer !== "" &&
  matchesText(pattern, `${token.issuer}/${token.subject}`);
