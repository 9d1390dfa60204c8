import { create } from "@bufbuild/protobuf";
import { readKeys } from "../../api/security/jwks.js";
import {
  type JwtRule,
  keySourceOf,
  type RequestAuthentication,
} from "../../api/security/request-authentication-schema.js";
import type { Snapshot } from "../../model/snapshot.js";
import {
  type JwtAuthentication,
  JwtAuthenticationSchema,
  type JwtProviderSchema,
  type JwtRequirementSchema,
} from "../../proto/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { Init } from "../init.js";

type Requirement = Init<typeof JwtRequirementSchema>;
type KeySets = Snapshot["keySets"];

/** Where the verified claims are among the filter's dynamic metadata; authorization reads them there. */
export const payloadKey = "payload";

/** Claims that OAuth writes as one text with spaces (RFC 8693, section 4.2), always read as lists. */
const listClaims = ["scope", "permission"] as const;

const required = (providerName: string): Requirement => ({
  requiresType: { case: "providerName", value: providerName },
});
const anyOf = (...requirements: readonly Requirement[]): Requirement => ({
  requiresType: { case: "requiresAny", value: { requirements: [...requirements] } },
});
const allOf = (...requirements: readonly Requirement[]): Requirement => ({
  requiresType: { case: "requiresAll", value: { requirements: [...requirements] } },
});

/** Valid tokens that each worker of a proxy knows again, time and audience aside, without verifying the signature. */
const rememberedTokens = 256;

const keysOf = (rule: JwtRule, keySets: KeySets): string | undefined => {
  const source = keySourceOf(rule);
  if (source.from !== "inline") return keySets.get(source.id)?.jwks;
  const read = readKeys(source.jwks);
  return typeof read === "string" ? undefined : read.jwks;
};

type Keys = NonNullable<Init<typeof JwtProviderSchema>["jwksSourceSpecifier"]>;

/**
 * While no key is known a token is refused, as for want of what the proxy cannot fetch: Envoy takes no empty set, and a
 * made-up key would have it say that the token is wrong. There is no cluster of this name.
 */
const noKeys: Keys = {
  case: "remoteJwks",
  value: {
    httpUri: {
      uri: "https://heddle.invalid/keys",
      httpUpstreamType: { case: "cluster", value: "heddle:no-keys" },
      timeout: { seconds: 1n },
    },
  },
};

const keysIn = (jwks: string | undefined): Keys =>
  jwks === undefined ? noKeys : { case: "localJwks", value: { specifier: { case: "inlineString", value: jwks } } };

const providerOf = (rule: JwtRule, keySets: KeySets): Init<typeof JwtProviderSchema> => ({
  issuer: rule.issuer,
  audiences: [...(rule.audiences ?? [])],
  jwksSourceSpecifier: keysIn(keysOf(rule, keySets)),
  forward: rule.forwardOriginalToken ?? false,
  fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix }) => ({ name, valuePrefix: prefix ?? "" })),
  fromParams: [...(rule.fromParams ?? [])],
  fromCookies: [...(rule.fromCookies ?? [])],
  forwardPayloadHeader: rule.outputPayloadToHeader ?? "",
  claimToHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
    headerName: header,
    claimName: claim,
  })),
  payloadInMetadata: payloadKey,
  jwtCacheConfig: { jwtCacheSize: rememberedTokens },
  normalizePayloadInMetadata: {
    spaceDelimitedClaims: [...new Set([...listClaims, ...(rule.spaceDelimitedClaims ?? [])])],
  },
});

/**
 * Every rule of every policy is a provider. A request passes with a token that one of them takes, or without a token in any
 * of their places. The filter takes headers that rules fill out of each request before it looks at anything, preflights
 * included.
 */
export const authentication = (policies: readonly RequestAuthentication[], keySets: KeySets): JwtAuthentication => {
  const rules = policies.flatMap(({ metadata, spec }) =>
    (spec.jwtRules ?? []).map((rule, index) => [`${metadata?.namespace}/${metadata?.name}[${index}]`, rule] as const),
  );
  if (rules.length === 0) return create(JwtAuthenticationSchema);
  const names = rules.map(([name]) => name);
  const missing = names.map((name) => anyOf(required(name), { requiresType: { case: "allowMissing", value: {} } }));
  const verified = names.length === 1 ? missing[0]! : anyOf(...names.map(required), allOf(...missing));
  return create(JwtAuthenticationSchema, {
    providers: Object.fromEntries(rules.map(([name, rule]) => [name, providerOf(rule, keySets)])),
    rules: [
      {
        // Of everything, also of what has no path that begins with a slash.
        match: { pathSpecifier: { case: "prefix", value: "" } },
        requirementType: { case: "requires", value: verified },
      },
    ],
    bypassCorsPreflight: true,
  });
};
