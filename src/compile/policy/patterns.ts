import { create } from "@bufbuild/protobuf";
import { type StringMatcher, StringMatcherSchema } from "../../proto/envoy/type/matcher/v3/string_pb.js";
import type { Init } from "../init.js";

/** A value of a policy: `*` alone is any that is there, first or last it stands for any text. */
export interface Pattern {
  readonly case: "exact" | "prefix" | "suffix" | "present";
  /** Without the wildcard. */
  readonly value: string;
}

export const patternOf = (value: string): Pattern => {
  if (value === "") throw new Error("an empty value");
  if (value === "*") return { case: "present", value: "" };
  if (value.startsWith("*")) return { case: "suffix", value: value.slice(1) };
  if (value.endsWith("*")) return { case: "prefix", value: value.slice(0, -1) };
  return { case: "exact", value };
};

/** Text as a regular expression of RE2 that matches it and nothing else. */
export const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

export const regexMatcher = (regex: string): StringMatcher =>
  create(StringMatcherSchema, { matchPattern: { case: "safeRegex", value: { regex } } });

/** `before` stands before each value, as a scheme does. */
export const matcherOf = (
  value: string | Pattern,
  { before = "", ignoreCase = false }: { readonly before?: string; readonly ignoreCase?: boolean } = {},
): StringMatcher => {
  const pattern = typeof value === "string" ? patternOf(value) : value;
  const matchPattern = (): NonNullable<Init<typeof StringMatcherSchema>["matchPattern"]> => {
    switch (pattern.case) {
      case "exact":
        return { case: "exact", value: `${before}${pattern.value}` };
      case "prefix":
        return { case: "prefix", value: `${before}${pattern.value}` };
      case "suffix":
        return { case: "suffix", value: pattern.value };
      case "present":
        return before === "" ? { case: "safeRegex", value: { regex: "(?s).+" } } : { case: "prefix", value: before };
    }
  };
  return create(StringMatcherSchema, { matchPattern: matchPattern(), ignoreCase });
};
