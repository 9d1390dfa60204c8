import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Situation, situation } from "../../support/arbitrary/authorization.js";
import { reductionsOf } from "../../support/authorization/reductions.js";
import { decide } from "../../support/authorization/reference.js";

/** A comparison over random policies says something about a field only if that field decides now and then. */

const test = suite("generators of AuthorizationPolicies and requests");

const both = (fields: readonly string[]): readonly string[] =>
  fields.flatMap((field) => [field, `not${field.charAt(0).toUpperCase()}${field.slice(1)}`]);
const sources = both([
  "principals",
  "requestPrincipals",
  "namespaces",
  "serviceAccounts",
  "ipBlocks",
  "remoteIpBlocks",
  "trustDomains",
]);
const operations = both(["hosts", "ports", "methods", "paths"]);
const keys = [
  ...["source.ip", "remote.ip", "source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain"],
  ...["request.headers", "request.auth.principal", "request.auth.audiences", "request.auth.presenter"],
  ...["request.auth.claims", "destination.ip", "destination.port", "connection.sni"],
];
const wanted = [
  ...sources.map((field) => `source.${field}`),
  ...operations.map((field) => `operation.${field}`),
  ...keys.flatMap((key) => [`when.${key}.values`, `when.${key}.notValues`]),
  ...["policy", "rule", "from", "to", "when", "value", "selector", "targetRefs", "annotations"],
];

const atMost = 4000;

/** Of these things, those without which some request would be decided otherwise. */
const decisiveIn = ({ workload, policies, requests }: Situation, among: ReadonlySet<string>): ReadonlySet<string> => {
  const verdicts = requests.map((request) => decide(policies, workload, request).verdict);
  return new Set(
    reductionsOf(policies)
      .filter(({ what }) => among.has(what))
      .filter((reduced) =>
        requests.some((request, at) => decide(reduced.policies, workload, request).verdict !== verdicts[at]),
      )
      .map(({ what }) => what),
  );
};

test("every field and key decides about some request, and either verdict is common", () => {
  const missing = new Set(wanted);
  const counts = { allow: 0, deny: 0 };
  const options = { requests: 12, hasCustom: true };
  for (let seed = 1; missing.size > 0 && seed * 100 <= atMost; seed += 1)
    for (const each of fc.sample(situation(options), { seed, numRuns: 100 })) {
      for (const request of each.requests) counts[decide(each.policies, each.workload, request).verdict] += 1;
      for (const what of decisiveIn(each, missing)) missing.delete(what);
    }
  assert.equal([...missing], []);
  const share = counts.allow / (counts.allow + counts.deny);
  assert.ok(share > 0.35 && share < 0.65, `${share} are allowed`);
});

test("of all actions some policy decides", () => {
  const deciding = new Set<string>();
  for (const { workload, policies, requests } of fc.sample(situation({ requests: 12, hasCustom: true }), {
    seed: 1,
    numRuns: 200,
  }))
    for (const request of requests) {
      const { verdict, by, shadow, isAudited } = decide(policies, workload, request);
      const decider = policies.find(({ metadata }) => `${metadata.namespace}/${metadata.name}` === by);
      deciding.add(`${decider?.spec.action ?? "ALLOW"} ${verdict} ${request.protocol}`);
      if (isAudited) deciding.add("AUDIT");
      for (const [action, would] of Object.entries(shadow)) deciding.add(`dry run of ${action}: ${would}`);
    }
  for (const what of [
    ...["http", "tcp"].flatMap((protocol) => [`ALLOW allow ${protocol}`, `ALLOW deny ${protocol}`]),
    ...["http", "tcp"].flatMap((protocol) => [`DENY deny ${protocol}`, `CUSTOM deny ${protocol}`]),
    "AUDIT",
    ...["allow", "deny"].flatMap((action) => [`dry run of ${action}: allow`, `dry run of ${action}: deny`]),
  ])
    assert.ok(deciding.has(what), what);
});

test.run();
