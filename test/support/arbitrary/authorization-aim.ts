import { holds, type Predicate, rulePredicates } from "../authorization/predicates.js";
import { isSelected } from "../authorization/reference.js";
import type { AuthorizationPolicy, Request, Workload } from "../authorization/types.js";

/** Fields that go together from one request into another. */
const groups = [
  ["peer", "serverName"],
  ["sourceAddress", "destinationAddress"],
  ["destinationPort"],
  ["method"],
  ["authority"],
  ["path"],
  ["headers"],
  ["forwardedFor"],
  ["token"],
] as const;

const donorsEach = 12;

const withGroup = (request: Request, donor: Request, group: readonly string[]): Request =>
  Object.assign(
    {},
    request,
    ...group.map((field) => (field in donor ? { [field]: donor[field as keyof Request] } : {})),
  ) as Request;

/** How much of the rule the request misses. */
type Misses = (request: Request) => number;

const closest = (request: Request, donors: readonly Request[], misses: Misses): Request => {
  let best = request;
  let least = misses(best);
  for (const group of groups)
    for (const donor of donors) {
      if (least === 0) return best;
      const next = withGroup(best, donor, group);
      const missed = misses(next);
      if (missed >= least) continue;
      best = next;
      least = missed;
    }
  return best;
};

/**
 * Random requests seldom meet a rule of several fields: most of them are made to, out of parts of the others, and some of
 * these then miss one thing, and no more.
 */
export const aimed = (
  requests: readonly Request[],
  policies: readonly AuthorizationPolicy[],
  workload: Workload,
): readonly Request[] => {
  const targets = policies
    .filter((policy) => isSelected(policy, workload))
    .flatMap(({ metadata, spec }) => (spec.rules ?? []).map((rule) => ({ rule, policyNamespace: metadata.namespace })));
  if (targets.length === 0) return requests;
  return requests.map((request, index) => {
    if (index % 4 === 0) return request;
    const { rule, policyNamespace } = targets[index % targets.length]!;
    const missed = (predicates: readonly Predicate[]): number => predicates.filter((each) => !holds(each)).length;
    const misses: Misses = (each) => {
      const { conditions, sources, operations } = rulePredicates(rule, { request: each, workload, policyNamespace });
      return missed(conditions) + Math.min(...sources.map(missed)) + Math.min(...operations.map(missed));
    };
    const donors = requests.filter(({ protocol }) => protocol === request.protocol).slice(0, donorsEach);
    const hit = closest(request, donors, misses);
    if (index % 4 === 1) return hit;
    const least = misses(hit);
    const at = (index * 31) % groups.length;
    for (const group of [...groups.slice(at), ...groups.slice(0, at)])
      for (const donor of donors) {
        const near = withGroup(hit, donor, group);
        if (misses(near) === least + 1) return near;
      }
    return hit;
  });
};
