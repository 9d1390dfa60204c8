import { parseDuration } from "../duration.js";
import { error, errorIf, repeated, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { checkSelector } from "../names.js";
import { durationFindings } from "../networking/duration-field.js";
import { hasControls, headerNameFault } from "../networking/headers.js";
import { readKeys } from "./jwks.js";
import { keyUrlFault } from "./key-url.js";
import {
  type JwtRule,
  keySourceOf,
  type RequestAuthentication,
  type RequestAuthenticationSpec,
} from "./request-authentication-schema.js";

/** The longest that a fetch of keys may take. */
export const longestTimeoutMilliseconds = 60_000;

/** Headers that requests are framed or routed by, or that say who calls: a claim must not take their place. */
const reservedHeaders: ReadonlySet<string> = new Set([
  ...[
    "host",
    "authorization",
    "cookie",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "expect",
    "te",
  ],
  ...["keep-alive", "proxy-connection", "trailer", "x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-host"],
  ...["x-forwarded-proto", "x-request-id"],
]);

export const tokenHeadersOf = ({ fromHeaders = [] }: JwtRule): readonly string[] =>
  fromHeaders.map(({ name }) => name.toLowerCase());

/** The headers that a rule fills, in lower case. */
export const outputHeadersOf = ({ outputPayloadToHeader, outputClaimToHeaders = [] }: JwtRule): readonly string[] =>
  [outputPayloadToHeader ?? "", ...outputClaimToHeaders.map(({ header }) => header)]
    .filter((name) => name !== "")
    .map((name) => name.toLowerCase());

const outputFault = (name: string): string | undefined => {
  const fault = headerNameFault(name);
  if (fault !== undefined) return `${show(name)} ${fault}`;
  const isReserved = reservedHeaders.has(name.toLowerCase()) || /^x-(envoy|heddle)-/i.test(name);
  return isReserved
    ? `${show(name)} has a meaning of its own; choose another header, such as "x-jwt-payload"`
    : undefined;
};

const checkOutputs = (path: string, rule: JwtRule, tokenHeaders: ReadonlySet<string>): readonly Finding[] => {
  const { outputPayloadToHeader = "", outputClaimToHeaders = [] } = rule;
  const outputs = [
    ...(outputPayloadToHeader === "" ? [] : [[`${path}.outputPayloadToHeader`, outputPayloadToHeader] as const]),
    ...outputClaimToHeaders.map(
      ({ header }, index) => [`${path}.outputClaimToHeaders[${index}].header`, header] as const,
    ),
  ];
  const twice = new Set(repeated(outputs.map(([, name]) => name.toLowerCase())));
  return outputs.flatMap(([at, name], index) => {
    if (twice.has(index)) return [error(at, `${show(name)} is filled by this rule already; choose another header`)];
    if (tokenHeaders.has(name.toLowerCase()))
      return [
        error(
          at,
          `${show(name)} is a header that tokens come in, which callers may set; choose another for what is proven`,
        ),
      ];
    return errorIf(at, outputFault(name));
  });
};

const checkLocations = (path: string, rule: JwtRule): readonly Finding[] => [
  ...(rule.fromHeaders ?? []).flatMap(({ name, prefix }, index) => {
    const fault = headerNameFault(name);
    return [
      ...errorIf(`${path}.fromHeaders[${index}].name`, fault && `${show(name)} ${fault}`),
      ...(hasControls(prefix ?? "")
        ? [error(`${path}.fromHeaders[${index}].prefix`, `${show(prefix)} holds a control character; remove it`)]
        : []),
    ];
  }),
  ...((rule.fromCookies ?? []).length > 0 && rule.forwardOriginalToken !== true
    ? [
        warning(
          `${path}.fromCookies`,
          "the proxy cannot take a token out of a cookie, so the application gets it; say so by forwardOriginalToken: true",
        ),
      ]
    : []),
];

const checkInlineKeys = (path: string, jwks: string): readonly Finding[] => {
  const read = readKeys(jwks);
  // The text is not shown: it may hold a secret that went there by mistake.
  if (typeof read === "string")
    return [error(path, `the text ${read}; write a JSON Web Key Set, such as {"keys": [...]}`)];
  if (read.secret.length > 0)
    return [
      error(
        path,
        `keys[${read.secret.join("], keys[")}]: a secret key, by which everyone who reads this could make tokens; write the public key alone, and replace the one that was shown`,
      ),
    ];
  if (read.jwks === undefined)
    return [
      error(
        path,
        `no key can be used: ${read.unusable.join("; ") || "the list is empty"}; add the issuer's public key`,
      ),
    ];
  return read.unusable.map((fault) => warning(path, `${fault}; it is left out`));
};

const checkKeys = (path: string, rule: JwtRule): readonly Finding[] => {
  const given = ["jwks", "jwksUri", "jwks_uri"] as const;
  if (given.filter((field) => (rule[field] ?? "") !== "").length > 1)
    return [error(`${path}.jwks`, "only one of jwks and jwksUri may be set; remove one")];
  const source = keySourceOf(rule);
  if (source.from === "inline") return checkInlineKeys(`${path}.jwks`, source.jwks);
  const fault = keyUrlFault(source.url);
  if (source.from === "discovery" && fault !== undefined)
    return [
      error(
        `${path}.issuer`,
        `${show(rule.issuer)} is no URL whose OpenID configuration could tell the keys; give jwksUri, or the keys in jwks`,
      ),
    ];
  const at =
    source.from === "discovery" ? `${path}.issuer` : `${path}.${rule.jwksUri === undefined ? "jwks_uri" : "jwksUri"}`;
  if (fault !== undefined) return [error(at, fault)];
  return source.url.startsWith("http:")
    ? [warning(at, "over http whoever is on the way can put keys of his own in and make tokens; use https")]
    : [];
};

const checkTimeout = (path: string, rule: JwtRule): readonly Finding[] => {
  const findings = durationFindings(path, rule, ["timeout"]);
  const milliseconds = parseDuration(rule.timeout ?? "0") ?? 0;
  return findings.length === 0 && milliseconds > longestTimeoutMilliseconds
    ? [
        warning(
          `${path}.timeout`,
          `${show(rule.timeout)} is longer than a minute, after which a fetch is given up anyway`,
        ),
      ]
    : findings;
};

const placesOf = ({ fromHeaders = [], fromParams = [], fromCookies = [] }: JwtRule): readonly string[] => {
  const places = [
    ...fromHeaders.map(({ name, prefix = "" }) => `header ${name.toLowerCase()} ${prefix}`),
    ...fromParams.map((name) => `parameter ${name}`),
    ...fromCookies.map((name) => `cookie ${name}`),
  ];
  return places.length > 0 ? places : ["header authorization Bearer ", "parameter access_token"];
};

const sameSet = (left: readonly string[], right: readonly string[]): boolean =>
  [...new Set(left)].sort().join("\n") === [...new Set(right)].sort().join("\n");

/** Whether a token that one of the rules takes is taken by the other, too, so that the first alone decides. */
const isShadowed = (earlier: JwtRule, later: JwtRule): boolean => {
  const places = new Set(placesOf(earlier));
  const [audiences, others] = [earlier.audiences ?? [], later.audiences ?? []];
  const [keys, otherKeys] = [keySourceOf(earlier), keySourceOf(later)];
  return (
    earlier.issuer === later.issuer &&
    placesOf(later).every((place) => places.has(place)) &&
    (audiences.length === 0 || (others.length > 0 && others.every((audience) => audiences.includes(audience)))) &&
    (keys.from === "inline"
      ? otherKeys.from === "inline" && keys.jwks === otherKeys.jwks
      : "id" in otherKeys && keys.id === otherKeys.id)
  );
};

const outcomeOf = (rule: JwtRule): string =>
  JSON.stringify([
    rule.forwardOriginalToken ?? false,
    rule.outputPayloadToHeader ?? "",
    rule.outputClaimToHeaders ?? [],
    [...(rule.spaceDelimitedClaims ?? [])].sort(),
  ]);

const checkRivals = (rules: readonly JwtRule[]): readonly Finding[] =>
  rules.flatMap((rule, index) => {
    const first = rules.findIndex((earlier, at) => at < index && isShadowed(earlier, rule));
    if (first < 0) return [];
    const at = `spec.jwtRules[${index}].issuer`;
    const equal = sameSet([outcomeOf(rules[first]!)], [outcomeOf(rule)]);
    const consequence = equal
      ? "so this one does nothing; remove it"
      : "and what this one says of headers or the token never happens; make them one rule";
    return [
      warning(at, `${show(rule.issuer)}: jwtRules[${first}] takes all the tokens that this rule would, ${consequence}`),
    ];
  });

const checkAttachment = (spec: RequestAuthenticationSpec): readonly Finding[] => {
  const attached = [
    ...(spec.selector === undefined ? [] : ["selector"]),
    ...(spec.targetRef === undefined ? [] : ["targetRef"]),
    ...((spec.targetRefs ?? []).length === 0 ? [] : ["targetRefs"]),
  ];
  if (attached.length > 1)
    return [error(`spec.${attached[1]}`, `only one of ${attached.join(" and ")} may be set; remove one`)];
  return attached.length === 0 || attached[0] === "selector"
    ? []
    : [
        warning(
          `spec.${attached[0]}`,
          "gateways take no policies in this version, and pods do not take this one; use selector",
        ),
      ];
};

/** What the schema cannot say, of this resource alone. */
export const checkRequestAuthentication = ({ spec }: RequestAuthentication): readonly Finding[] => {
  const rules = spec.jwtRules ?? [];
  const tokenHeaders = new Set(rules.flatMap(tokenHeadersOf));
  return [
    ...checkSelector("spec.selector", spec.selector, "matchLabels"),
    ...checkAttachment(spec),
    ...(rules.length === 0 ? [warning("spec.jwtRules", "there is none, so no token is looked at; add one")] : []),
    ...rules.flatMap((rule, index) => {
      const path = `spec.jwtRules[${index}]`;
      return [
        ...checkKeys(path, rule),
        ...checkLocations(path, rule),
        ...checkOutputs(path, rule, tokenHeaders),
        ...checkTimeout(path, rule),
      ];
    }),
    ...checkRivals(rules),
  ];
};
