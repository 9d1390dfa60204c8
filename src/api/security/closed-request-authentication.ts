import { generateKeyPairSync } from "node:crypto";
import type { ConfigObject } from "../kind.js";
import { headerNameFault } from "../networking/headers.js";
import { isObject } from "../normalize.js";
import { readableSelector } from "./readable-selector.js";
import { outputHeadersOf } from "./request-authentication-check.js";
import type { JwtRule, RequestAuthentication } from "./request-authentication-schema.js";

const objectsIn = (list: unknown): readonly Readonly<Record<string, unknown>>[] =>
  Array.isArray(list) ? list.filter(isObject) : [];
const textsIn = (list: unknown): readonly string[] =>
  Array.isArray(list) ? list.filter((item): item is string => typeof item === "string" && item !== "") : [];
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** By whose key nothing is signed: the other half is thrown away at once. */
let nobodysKeys: string | undefined;
const keysOfNobody = (): string => {
  nobodysKeys ??= JSON.stringify({ keys: [generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" })] });
  return nobodysKeys;
};

const hasHeaderName = ({ name }: { readonly name: string }): boolean => headerNameFault(name) === undefined;

/** A rule in whose places no token is taken, with the headers that it would have filled. */
const closedRule = (rule: Readonly<Record<string, unknown>>): JwtRule => {
  const outputs = outputHeadersOf({
    issuer: "",
    outputPayloadToHeader: textOf(rule["outputPayloadToHeader"]),
    outputClaimToHeaders: objectsIn(rule["outputClaimToHeaders"]).map(({ header }) => ({
      header: textOf(header),
      claim: "",
    })),
  });
  return {
    issuer: "heddle:nobody",
    jwks: keysOfNobody(),
    fromHeaders: objectsIn(rule["fromHeaders"])
      .map(({ name, prefix }) => ({ name: textOf(name), prefix: textOf(prefix) }))
      .filter(hasHeaderName),
    fromParams: [...textsIn(rule["fromParams"])],
    fromCookies: [...textsIn(rule["fromCookies"])],
    outputClaimToHeaders: [...new Set(outputs)]
      .filter((name) => hasHeaderName({ name }))
      .map((header) => ({ header, claim: "heddle:nothing" })),
  };
};

/**
 * What stands for a RequestAuthentication that cannot be used and has no earlier version: in the places that it names no
 * token is taken, and headers that it would have filled do not pass. Nothing stands for one that is for gateways.
 */
export const closedRequestAuthentication = (object: ConfigObject<unknown>): RequestAuthentication | undefined => {
  const spec = isObject(object.spec) ? object.spec : {};
  const { targetRef, targetRefs, selector, jwtRules } = spec;
  if (selector === undefined && (isObject(targetRef) || textsIn(targetRefs).length + objectsIn(targetRefs).length > 0))
    return undefined;
  const chosen = readableSelector(selector);
  const rules = objectsIn(jwtRules);
  return {
    ...object,
    spec: {
      ...(chosen === undefined ? {} : { selector: chosen }),
      jwtRules: (rules.length === 0 ? [{}] : rules).map(closedRule),
    },
  };
};
