import { type Static, Type } from "typebox";
import type { ConfigObject } from "../kind.js";
import { durationField } from "../networking/duration-field.js";
import { podSelector } from "../selector.js";
import { targetRefFields } from "./target-refs.js";

const closed = { additionalProperties: false } as const;
const names = (maxLength: number, description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength }), { maxItems: 64, description }));

const uri = (description: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 2048,
      description,
      "x-kubernetes-validations": [
        {
          rule: "isURL(self) && url(self).getScheme() in ['http', 'https']",
          message: "must be a URL of http or https",
        },
      ],
    }),
  );

const JwtRule = Type.Object(
  {
    issuer: Type.String({
      minLength: 1,
      maxLength: 2048,
      description: "Who issues the tokens: their `iss` is exactly this.",
    }),
    audiences: names(2048, "A token is for one of these (`aud`). Unset: for anyone."),
    jwksUri: uri("Where the issuer publishes its keys. Unset, as jwks: the issuer's OpenID configuration tells."),
    jwks_uri: uri("Another spelling of jwksUri."),
    jwks: Type.Optional(
      Type.String({ maxLength: 262_144, description: "The issuer's public keys, as a JSON Web Key Set." }),
    ),
    fromHeaders: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.String({ minLength: 1, maxLength: 256, description: "Name of the header." }),
            prefix: Type.Optional(
              Type.String({ maxLength: 256, description: 'What comes before the token, such as "Bearer ".' }),
            ),
          },
          { ...closed, description: "A header that holds the token." },
        ),
        {
          maxItems: 64,
          description:
            "Headers that tokens are in. Without any place: Authorization: Bearer, and access_token of the query.",
        },
      ),
    ),
    fromParams: names(256, "Parameters of the query that tokens are in."),
    fromCookies: names(256, "Cookies that tokens are in. The proxy cannot take a token out of them."),
    outputPayloadToHeader: Type.Optional(
      Type.String({
        maxLength: 256,
        description: "Header in which the application gets the token's claims, base64url.",
      }),
    ),
    outputClaimToHeaders: Type.Optional(
      Type.Array(
        Type.Object(
          {
            header: Type.String({
              minLength: 1,
              maxLength: 256,
              description: "Header in which the application gets the claim.",
              "x-kubernetes-validations": [
                { rule: "self.matches('^[-_A-Za-z0-9]+$')", message: "use letters, digits, hyphens and underscores" },
              ],
            }),
            claim: Type.String({
              minLength: 1,
              maxLength: 2048,
              description:
                "Name of the claim; a dot leads into a nested one. Lists and objects come as base64 of their JSON.",
            }),
          },
          { ...closed, description: "A claim that the application gets as a header." },
        ),
        { maxItems: 64, description: "Claims that the application gets as headers." },
      ),
    ),
    forwardOriginalToken: Type.Optional(
      Type.Boolean({ description: "Whether the application gets the token itself, too; false if unset." }),
    ),
    timeout: Type.Optional(durationField("How long fetching the keys may take, a minute at most; 5s if unset.")),
    spaceDelimitedClaims: names(
      2048,
      "Claims that are lists written as one text with spaces, besides scope and permission.",
    ),
  },
  {
    ...closed,
    description: "An issuer whose tokens are taken, and what of them the application gets.",
    "x-kubernetes-validations": [
      {
        rule: "(has(self.jwks) && self.jwks != '' ? 1 : 0) + (has(self.jwksUri) ? 1 : 0) + (has(self.jwks_uri) ? 1 : 0) <= 1",
        message: "only one of jwks and jwksUri may be set",
      },
    ],
  },
);

export const RequestAuthenticationSpec = Type.Object(
  {
    selector: Type.Optional(
      podSelector(
        4096,
        "The pods of the namespace that this is for; all of them if unset. In the root namespace: pods of the whole mesh.",
      ),
    ),
    ...targetRefFields,
    jwtRules: Type.Optional(
      Type.Array(JwtRule, {
        maxItems: 64,
        description: "Issuers whose tokens are taken. A request without a token passes, one with a bad one does not.",
      }),
    ),
  },
  closed,
);

export type JwtRule = Static<typeof JwtRule>;
export type RequestAuthenticationSpec = Static<typeof RequestAuthenticationSpec>;
export type RequestAuthentication = ConfigObject<RequestAuthenticationSpec>;

/** Where keys are fetched. */
export interface RemoteKeySource {
  /** Of the key set itself, or of the issuer's OpenID configuration, which names it. */
  readonly from: "jwks" | "discovery";
  /** Equal sources have equal ids. */
  readonly id: string;
  readonly url: string;
  readonly issuer: string;
}

/** Where the keys of a rule come from. */
export type KeySource = { readonly from: "inline"; readonly jwks: string } | RemoteKeySource;

/** OpenID Connect Discovery 1.0, section 4. */
const discoveryPath = "/.well-known/openid-configuration";

export const keySourceOf = ({ issuer, jwks, jwksUri, jwks_uri }: JwtRule): KeySource => {
  if (jwks !== undefined && jwks !== "") return { from: "inline", jwks };
  const url = jwksUri ?? jwks_uri;
  return url === undefined
    ? { from: "discovery", id: `discovery ${issuer}`, url: issuer.replace(/\/$/, "") + discoveryPath, issuer }
    : { from: "jwks", id: `jwks ${url}`, url, issuer };
};
