import { create } from "@bufbuild/protobuf";
import { type Principal, PrincipalSchema } from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import { type MetadataMatcher, MetadataMatcherSchema } from "../../proto/envoy/type/matcher/v3/metadata_pb.js";
import type { StringMatcher } from "../../proto/envoy/type/matcher/v3/string_pb.js";
import { principals } from "./algebra.js";
import { matcherOf, type Pattern, patternOf } from "./patterns.js";
import { authenticationFilters } from "./slots.js";

/** A text in dynamic metadata, or one of a list of texts. */
export const metadataText = (
  filter: string,
  path: readonly string[],
  matcher: StringMatcher,
  form: "text" | "list" | "either",
): MetadataMatcher => {
  const value = { matchPattern: { case: "stringMatch" as const, value: matcher } };
  const list = {
    matchPattern: { case: "listMatch" as const, value: { matchPattern: { case: "oneOf" as const, value } } },
  };
  return create(MetadataMatcherSchema, {
    filter,
    path: path.map((key) => ({ segment: { case: "key" as const, value: key } })),
    value: {
      text: value,
      list,
      either: { matchPattern: { case: "orMatch" as const, value: { valueMatchers: [value, list] } } },
    }[form],
  });
};

/** Where the verified token's claims are. */
const [verifier = ""] = authenticationFilters;

const claim = (path: readonly string[], matcher: StringMatcher): Principal =>
  create(PrincipalSchema, {
    identifier: { case: "metadata", value: metadataText(verifier, ["payload", ...path], matcher, "either") },
  });

/** A claim of the verified token: a text, or a list that has it. */
export const claimOf = (path: readonly string[], value: string): Principal => claim(path, matcherOf(value));

const present: Pattern = { case: "present", value: "" };
const exactly = (value: string): Pattern => ({ case: "exact", value });
/** A text that begins, or ends, with nothing in particular is any. */
const edge = (which: "prefix" | "suffix", value: string): Pattern => (value === "" ? present : { case: which, value });

const issuerAndSubject = (issuer: Pattern, subject: Pattern): Principal =>
  principals.all([claim(["iss"], matcherOf(issuer)), claim(["sub"], matcherOf(subject))]);

/** Both may hold slashes: each could be the one that joins them. */
const splits = (text: string): readonly (readonly [issuer: string, subject: string])[] =>
  [...text.matchAll(/\//g)].map(({ index }) => [text.slice(0, index), text.slice(index + 1)] as const);

/** `ISSUER/SUBJECT`: the one text that the two claims make, as a pattern. */
export const requestPrincipalOf = (value: string): Principal => {
  const pattern = patternOf(value);
  const parts = splits(pattern.value);
  switch (pattern.case) {
    case "present":
      return issuerAndSubject(present, present);
    case "exact": {
      const whole = parts.filter(([issuer, subject]) => issuer !== "" && subject !== "");
      // Without a slash within, no token has it.
      if (whole.length === 0) return principals.not(principals.any());
      return principals.some(whole.map(([issuer, subject]) => issuerAndSubject(exactly(issuer), exactly(subject))));
    }
    case "prefix":
      return principals.some([
        issuerAndSubject(pattern, present),
        ...parts.flatMap(([issuer, subject]) =>
          issuer === "" ? [] : [issuerAndSubject(exactly(issuer), edge("prefix", subject))],
        ),
      ]);
    case "suffix":
      return principals.some([
        issuerAndSubject(present, pattern),
        ...parts.flatMap(([issuer, subject]) =>
          subject === "" ? [] : [issuerAndSubject(edge("suffix", issuer), exactly(subject))],
        ),
      ]);
  }
};
