import { create } from "@bufbuild/protobuf";
import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationRule,
  AuthorizationSource,
} from "../../api/security/authorization-policy-spec.js";
import { type ConditionKey, isOfRequests, readConditionKey } from "../../api/security/condition-key.js";
import {
  type Permission,
  PermissionSchema,
  type Policy,
  PolicySchema,
  type Principal,
} from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import type { TrustedDomains } from "../tls.js";
import { permissions, principals, restriction } from "./algebra.js";
import {
  clientAddressIs,
  destinationAddressIs,
  destinationPortIs,
  peerAddressIs,
  serverNameIs,
} from "./connections.js";
import { namespaceOfCaller, principalOf, serviceAccountOfCaller, trustDomainOfCaller } from "./identities.js";
import { matcherOf } from "./patterns.js";
import { headerIs, hostIs, methodIs, pathIs } from "./requests.js";
import { claimOf, metadataText, requestPrincipalOf } from "./tokens.js";

export interface RuleContext {
  readonly mesh: TrustedDomains;
  /** Of the policy. */
  readonly namespace: string;
  /** What only requests have is left out for TCP connections. */
  readonly protocol: "http" | "tcp";
}

type Match<Condition> = (value: string) => Condition;

const sourceConditions = (
  part: AuthorizationSource,
  { mesh, namespace, protocol }: RuleContext,
): readonly Principal[] => {
  const of = (
    match: Match<Principal>,
    values: readonly string[] | undefined,
    notValues: readonly string[] | undefined,
  ) => restriction(principals, match, values, notValues);
  return [
    ...of((value) => principalOf(value, mesh), part.principals, part.notPrincipals),
    ...(protocol === "http" ? of(requestPrincipalOf, part.requestPrincipals, part.notRequestPrincipals) : []),
    ...of(namespaceOfCaller, part.namespaces, part.notNamespaces),
    ...of((value) => serviceAccountOfCaller(value, namespace), part.serviceAccounts, part.notServiceAccounts),
    ...of((value) => trustDomainOfCaller(value, mesh), part.trustDomains, part.notTrustDomains),
    ...of(peerAddressIs, part.ipBlocks, part.notIpBlocks),
    ...of(clientAddressIs, part.remoteIpBlocks, part.notRemoteIpBlocks),
  ];
};

const operationConditions = (part: AuthorizationOperation, { protocol }: RuleContext): readonly Permission[] => {
  const of = (
    match: Match<Permission>,
    values: readonly string[] | undefined,
    notValues: readonly string[] | undefined,
  ) => restriction(permissions, match, values, notValues);
  return [
    ...(protocol === "http"
      ? [
          ...of(hostIs, part.hosts, part.notHosts),
          ...of(methodIs, part.methods, part.notMethods),
          ...of(pathIs, part.paths, part.notPaths),
        ]
      : []),
    ...of(destinationPortIs, part.ports, part.notPorts),
  ];
};

const filterMetadata = (filter: string, field: string, value: string): Permission => {
  const [, inner] = /^\[(.*)\]$/.exec(value) ?? [];
  const matcher = matcherOf(inner ?? value);
  return create(PermissionSchema, {
    rule: { case: "metadata", value: metadataText(filter, [field], matcher, inner === undefined ? "text" : "list") },
  });
};

const conditionMatch = (
  key: ConditionKey,
  { mesh, namespace }: RuleContext,
): { readonly principal: Match<Principal> } | { readonly permission: Match<Permission> } => {
  switch (key.attribute) {
    case "source.ip":
      return { principal: peerAddressIs };
    case "remote.ip":
      return { principal: clientAddressIs };
    case "source.namespace":
      return { principal: namespaceOfCaller };
    case "source.principal":
      return { principal: (value) => principalOf(value, mesh) };
    case "source.serviceAccount":
      return { principal: (value) => serviceAccountOfCaller(value, namespace) };
    case "source.trustDomain":
      return { principal: (value) => trustDomainOfCaller(value, mesh) };
    case "request.headers":
      return { principal: (value) => headerIs(key.header, value) };
    case "request.auth.principal":
      return { principal: requestPrincipalOf };
    case "request.auth.audiences":
      return { principal: (value) => claimOf(["aud"], value) };
    case "request.auth.presenter":
      return { principal: (value) => claimOf(["azp"], value) };
    case "request.auth.claims":
      return { principal: (value) => claimOf(key.claims, value) };
    case "destination.ip":
      return { permission: destinationAddressIs };
    case "destination.port":
      return { permission: destinationPortIs };
    case "connection.sni":
      return { permission: serverNameIs };
    case "experimental.envoy.filters":
      return { permission: (value) => filterMetadata(key.filter, key.field, value) };
  }
};

const conditionsOf = (
  { key, values, notValues }: AuthorizationCondition,
  context: RuleContext,
): { readonly principals: readonly Principal[]; readonly permissions: readonly Permission[] } => {
  const read = readConditionKey(key);
  if (read === undefined) throw new Error(`${JSON.stringify(key)} is no attribute`);
  if (values === undefined && notValues === undefined) throw new Error(`${key} has no values`);
  const none = { principals: [], permissions: [] };
  if (context.protocol === "tcp" && isOfRequests(read)) return none;
  const match = conditionMatch(read, context);
  return "principal" in match
    ? { ...none, principals: restriction(principals, match.principal, values, notValues) }
    : { ...none, permissions: restriction(permissions, match.permission, values, notValues) };
};

/** The alternatives, each with what must hold besides; one that asks for nothing if there are none. */
const alternatives = <Part, Condition>(
  parts: readonly Part[] | undefined,
  conditions: (part: Part) => readonly Condition[],
  besides: readonly Condition[],
  all: (conditions: readonly Condition[]) => Condition,
): Condition[] =>
  parts === undefined || parts.length === 0
    ? [all(besides)]
    : parts.map((part) => all([...conditions(part), ...besides]));

/** Throws an Error for what cannot be said to a proxy. */
export const compileRule = ({ from, to, when = [] }: AuthorizationRule, context: RuleContext): Policy => {
  const conditions = when.map((condition) => conditionsOf(condition, context));
  return create(PolicySchema, {
    principals: alternatives(
      from,
      ({ source = {} }) => sourceConditions(source, context),
      conditions.flatMap((each) => each.principals),
      principals.all,
    ),
    permissions: alternatives(
      to,
      ({ operation = {} }) => operationConditions(operation, context),
      conditions.flatMap((each) => each.permissions),
      permissions.all,
    ),
  });
};
