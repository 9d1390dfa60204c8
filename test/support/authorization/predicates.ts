import { isWithin } from "./addresses.js";
import { matchesNamespace, matchesPrincipal, matchesServiceAccount, matchesTrustDomain } from "./identity.js";
import { matchesPath } from "./path.js";
import { matchesText, matchesTextIgnoringCase } from "./text.js";
import { matchesClaim, matchesRequestPrincipal } from "./token.js";
import type { Condition, HttpRequest, Operation, Request, Rule, Source, Workload } from "./types.js";

/** One field of a source or operation, or one condition: what it wants, and whether a value of it fits the request. */
export interface Predicate {
  readonly isHttpOnly: boolean;
  readonly values: readonly string[];
  readonly notValues: readonly string[];
  readonly matches: (value: string) => boolean;
}

export interface Context {
  readonly request: Request;
  readonly workload: Workload;
  readonly policyNamespace: string;
}

type Matcher = Pick<Predicate, "isHttpOnly" | "matches">;

const anywhere = (matches: (value: string) => boolean): Matcher => ({ isHttpOnly: false, matches });

const onlyHttp = (request: Request, matches: (value: string, http: HttpRequest) => boolean): Matcher => ({
  isHttpOnly: true,
  matches: (value) => request.protocol === "http" && matches(value, request),
});

/** The last of X-Forwarded-For, or whoever the connection is from. */
export const remoteAddressOf = (request: Request): string =>
  (request.protocol === "http" ? request.forwardedFor.at(-1) : undefined) ?? request.sourceAddress;

/** Each header of the name by itself; `*` is content with one that is empty. */
const matchesHeader = (pattern: string, { headers }: HttpRequest, name: string): boolean =>
  headers
    .filter(([each]) => each.toLowerCase() === name.toLowerCase())
    .some(([, value]) => pattern === "*" || matchesText(pattern, value));

const matchersOf = ({ request, workload, policyNamespace }: Context) => ({
  principal: anywhere((value) => matchesPrincipal(value, request.peer, workload)),
  namespace: anywhere((value) => matchesNamespace(value, request.peer)),
  serviceAccount: anywhere((value) => matchesServiceAccount(value, request.peer, policyNamespace)),
  trustDomain: anywhere((value) => matchesTrustDomain(value, request.peer, workload)),
  sourceAddress: anywhere((value) => isWithin(value, request.sourceAddress)),
  remoteAddress: anywhere((value) => isWithin(value, remoteAddressOf(request))),
  destinationAddress: anywhere((value) => isWithin(value, request.destinationAddress)),
  destinationPort: anywhere((value) => Number(value) === request.destinationPort),
  // Envoy keeps the name in lower case, however it came.
  serverName: anywhere((value) => matchesText(value, (request.serverName ?? "").toLowerCase())),
  requestPrincipal: onlyHttp(request, (value, { token }) => matchesRequestPrincipal(value, token)),
  host: onlyHttp(request, (value, { authority }) => matchesTextIgnoringCase(value, authority)),
  method: onlyHttp(request, (value, { method }) => matchesText(value, method)),
  path: onlyHttp(request, (value, { path }) => matchesPath(value, path)),
  header: (name: string) => onlyHttp(request, (value, http) => matchesHeader(value, http, name)),
  claim: (path: readonly string[]) => onlyHttp(request, (value, { token }) => matchesClaim(value, token, path)),
});

const predicate = (matcher: Matcher, values: readonly string[] = [], notValues: readonly string[] = []): Predicate => ({
  ...matcher,
  values,
  notValues,
});

type Matchers = ReturnType<typeof matchersOf>;

const sourcePredicates = (source: Source, by: Matchers): readonly Predicate[] => [
  predicate(by.principal, source.principals, source.notPrincipals),
  predicate(by.requestPrincipal, source.requestPrincipals, source.notRequestPrincipals),
  predicate(by.namespace, source.namespaces, source.notNamespaces),
  predicate(by.serviceAccount, source.serviceAccounts, source.notServiceAccounts),
  predicate(by.sourceAddress, source.ipBlocks, source.notIpBlocks),
  predicate(by.remoteAddress, source.remoteIpBlocks, source.notRemoteIpBlocks),
  predicate(by.trustDomain, source.trustDomains, source.notTrustDomains),
];

const operationPredicates = (operation: Operation, by: Matchers): readonly Predicate[] => [
  predicate(by.host, operation.hosts, operation.notHosts),
  predicate(by.destinationPort, operation.ports, operation.notPorts),
  predicate(by.method, operation.methods, operation.notMethods),
  predicate(by.path, operation.paths, operation.notPaths),
];

const bracketed = (key: string): readonly string[] => [...key.matchAll(/\[([^\]]*)\]/g)].map(([, name = ""]) => name);

const matcherOf = (key: string, by: Matchers): Matcher => {
  switch (key) {
    case "source.ip":
      return by.sourceAddress;
    case "remote.ip":
      return by.remoteAddress;
    case "source.namespace":
      return by.namespace;
    case "source.principal":
      return by.principal;
    case "source.serviceAccount":
      return by.serviceAccount;
    case "source.trustDomain":
      return by.trustDomain;
    case "request.auth.principal":
      return by.requestPrincipal;
    case "request.auth.audiences":
      return by.claim(["aud"]);
    case "request.auth.presenter":
      return by.claim(["azp"]);
    case "destination.ip":
      return by.destinationAddress;
    case "destination.port":
      return by.destinationPort;
    case "connection.sni":
      return by.serverName;
  }
  if (key.startsWith("request.headers[")) return by.header(bracketed(key)[0]!);
  if (key.startsWith("request.auth.claims[")) return by.claim(bracketed(key));
  // Metadata of other filters: a mesh's own listeners have none.
  if (key.startsWith("experimental.envoy.filters.")) return anywhere(() => false);
  throw new Error(`no condition has the key ${key}`);
};

const conditionPredicate = ({ key, values, notValues }: Condition, by: Matchers): Predicate =>
  predicate(matcherOf(key, by), values, notValues);

export const isConstraint = ({ values, notValues }: Predicate): boolean => values.length > 0 || notValues.length > 0;

export const holds = ({ values, notValues, matches }: Predicate): boolean =>
  (values.length === 0 || values.some(matches)) && !notValues.some(matches);

/** One of the sources, one of the operations and all of the conditions have to hold; without any, anyone and anything. */
export const rulePredicates = (rule: Rule, context: Context) => {
  const by = matchersOf(context);
  return {
    conditions: (rule.when ?? []).map((condition) => conditionPredicate(condition, by)),
    sources: (rule.from ?? [{ source: {} }]).map(({ source }) => sourcePredicates(source, by)),
    operations: (rule.to ?? [{ operation: {} }]).map(({ operation }) => operationPredicates(operation, by)),
  };
};
