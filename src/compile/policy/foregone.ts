import {
  type Permission,
  type Policy,
  type Principal,
  type RBAC,
  RBAC_Action,
} from "../../proto/envoy/config/rbac/v3/rbac_pb.js";

/** What is known of all connections of a filter chain. */
export interface ChainFacts {
  /** Undefined where the chain is for several. */
  readonly port: number | undefined;
  readonly isMutualTls: boolean;
}

/** Undefined: it depends on the connection. */
type Known = boolean | undefined;

const allOf = (known: readonly Known[]): Known =>
  known.includes(false) ? false : known.includes(undefined) ? undefined : true;
const someOf = (known: readonly Known[]): Known =>
  known.includes(true) ? true : known.includes(undefined) ? undefined : false;
const notOf = (known: Known): Known => (known === undefined ? undefined : !known);

const ofPermission = ({ rule }: Permission, facts: ChainFacts): Known => {
  switch (rule.case) {
    case "any":
      return true;
    case "andRules":
      return allOf(rule.value.rules.map((each) => ofPermission(each, facts)));
    case "orRules":
      return someOf(rule.value.rules.map((each) => ofPermission(each, facts)));
    case "notRule":
      return notOf(ofPermission(rule.value, facts));
    case "destinationPort":
      return facts.port === undefined ? undefined : rule.value === facts.port;
    default:
      return undefined;
  }
};

const ofPrincipal = ({ identifier }: Principal, facts: ChainFacts): Known => {
  switch (identifier.case) {
    case "any":
      return true;
    case "andIds":
      return allOf(identifier.value.ids.map((each) => ofPrincipal(each, facts)));
    case "orIds":
      return someOf(identifier.value.ids.map((each) => ofPrincipal(each, facts)));
    case "notId":
      return notOf(ofPrincipal(identifier.value, facts));
    case "authenticated":
      return facts.isMutualTls ? undefined : false;
    default:
      return undefined;
  }
};

const ofPolicy = ({ permissions, principals }: Policy, facts: ChainFacts): Known =>
  allOf([
    someOf(permissions.map((each) => ofPermission(each, facts))),
    someOf(principals.map((each) => ofPrincipal(each, facts))),
  ]);

/** Whether the rules refuse every connection of the chain, whoever it is from. */
export const refusesAll = ({ action, policies }: RBAC, facts: ChainFacts): boolean => {
  const known = Object.values(policies).map((policy) => ofPolicy(policy, facts));
  if (action === RBAC_Action.ALLOW) return known.every((matches) => matches === false);
  return action === RBAC_Action.DENY && known.includes(true);
};
