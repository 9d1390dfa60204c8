import { create } from "@bufbuild/protobuf";
import { type Principal, PrincipalSchema } from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import type { StringMatcher } from "../../proto/envoy/type/matcher/v3/string_pb.js";
import { type TrustedDomains, trustDomainsOf } from "../tls.js";
import { principals } from "./algebra.js";
import { literal, matcherOf, patternOf, regexMatcher } from "./patterns.js";

const scheme = "spiffe://";

/** By a name in the certificate that the connection was verified with; never true in plaintext. */
const authenticated = (principalName: StringMatcher): Principal =>
  create(PrincipalSchema, { identifier: { case: "authenticated", value: { principalName } } });

/** Policies say so for the mesh's own trust domain, whatever that is called. */
const ownDomain = "cluster.local";

/** An identity without scheme; one of the mesh's trust domains stands for all of them. */
export const principalOf = (value: string, mesh: TrustedDomains): Principal => {
  const slash = value.indexOf("/");
  const [domain, path] = slash === -1 ? [value, ""] : [value.slice(0, slash), value.slice(slash)];
  const own = trustDomainsOf(mesh);
  const values = path !== "" && [ownDomain, ...own].includes(domain) ? own.map((each) => `${each}${path}`) : [value];
  return principals.some([...new Set(values)].map((each) => authenticated(matcherOf(each, { before: scheme }))));
};

const anySegment = "[^/]+";

/** A value, as a regular expression for one segment of a path. */
const segment = (value: string): string => {
  const pattern = patternOf(value);
  switch (pattern.case) {
    case "exact":
      return literal(pattern.value);
    case "prefix":
      return `${literal(pattern.value)}[^/]*`;
    case "suffix":
      return `[^/]*${literal(pattern.value)}`;
    case "present":
      return anySegment;
  }
};

const identity = (domain: string, namespace: string, account: string): Principal =>
  authenticated(regexMatcher(`${scheme}${domain}/ns/${namespace}/sa/${account}`));

export const namespaceOfCaller = (value: string): Principal => identity(anySegment, segment(value), anySegment);

/** One of the mesh's trust domains stands for all of them. */
export const trustDomainOfCaller = (value: string, mesh: TrustedDomains): Principal => {
  const own = trustDomainsOf(mesh);
  const meant = own.includes(value) ? own : [value];
  return principals.some(meant.map((each) => authenticated(regexMatcher(`${scheme}${segment(each)}/.*`))));
};

/** `NAMESPACE/ACCOUNT`, or `ACCOUNT` of the given namespace; there are no wildcards. */
export const serviceAccountOfCaller = (value: string, ownNamespace: string): Principal => {
  const [first = "", second] = value.split("/");
  return second === undefined
    ? identity(anySegment, literal(ownNamespace), literal(first))
    : identity(anySegment, literal(first), literal(second));
};
