import fc from "fast-check";
import { stringify } from "yaml";
import { type Situation, situation } from "../../../support/arbitrary/authorization.js";
import { reductionsOf } from "../../../support/authorization/reductions.js";
import { decide } from "../../../support/authorization/reference.js";
import type { Decision, Request } from "../../../support/authorization/types.js";
import { hasExternalAuthorizers } from "./compiled.js";
import { type Compile, type Identities, withAnswers } from "./proxies.js";

/** Pairs to compare; a nightly run takes 10000 and more. */
export const pairCount = Number(process.env["HEDDLE_PAIRS"] ?? 500);
/** Of the generators: always the same in the usual run, another one each time in a larger one. */
export const seed = Number(
  process.env["HEDDLE_SEED"] ?? (process.env["HEDDLE_PAIRS"] === undefined ? 1 : Date.now() % 2 ** 31),
);

const requestsEach = 13;
const situationsAtOnce = 40;
const reductionRounds = 30;

export type Decide = typeof decide;

export interface Comparison {
  readonly compared: number;
  /** Of them, by the proxies. */
  readonly allowed: number;
  /** The first disagreement at its smallest, told in full; undefined if there is none. */
  readonly disagreement: string | undefined;
}

/** One request of which the two say different things. */
interface Disagreement {
  readonly situation: Situation;
  readonly request: Request;
  readonly proxy: string;
  readonly detail: string;
}

interface Round {
  readonly allowed: number;
  readonly disagreements: readonly Disagreement[];
}

/** What the access log holds about dry runs, whichever protocol's filter has told it. */
const dryRunText = (shadow: Decision["shadow"], isHttp: boolean): string =>
  (["allow", "deny"] as const)
    .map((action) => {
      const result = { allow: "allowed", deny: "denied", none: "-" }[shadow[action] ?? "none"];
      return `dry run ${action}: ${isHttp ? `${result}-` : `-${result}`}`;
    })
    .join(" ");

const round = async (
  situations: readonly Situation[],
  compile: Compile,
  identities: Identities,
  expected: Decide,
): Promise<Round> => {
  let allowed = 0;
  const disagreements: Disagreement[] = [];
  await withAnswers(situations, compile, identities, async ({ outcomes, logged }) => {
    for (const [index, each] of situations.entries())
      for (const [at, request] of each.requests.entries()) {
        const outcome = outcomes[index]![at]!;
        if (outcome.verdict === "allow") allowed += 1;
        const { verdict, shadow } = expected(each.policies, each.workload, request);
        const hasDryRun = outcome.verdict === "allow" && Object.keys(shadow).length > 0;
        const log = outcome.verdict === verdict && !hasDryRun ? "" : await logged(outcome);
        if (
          outcome.verdict === verdict &&
          (!hasDryRun || log.includes(dryRunText(shadow, request.protocol === "http")))
        )
          continue;
        disagreements.push({
          situation: { ...each, requests: [request] },
          request,
          proxy: outcome.verdict,
          detail: `${outcome.detail.split("\r\n")[0]}\naccess log: ${log}`,
        });
      }
  });
  return { allowed, disagreements };
};

const sizeOf = (policies: Situation["policies"]): number => JSON.stringify(policies).length;

/** Goes on to the smallest of all policies that are smaller by one thing, as long as the two disagree about one of them. */
const smallest = async (
  found: Disagreement,
  compare: (situations: readonly Situation[]) => Promise<Round>,
): Promise<Disagreement> => {
  let current = found;
  for (let count = 0; count < reductionRounds; count += 1) {
    const smaller = reductionsOf(current.situation.policies)
      .map(({ policies }) => ({ ...current.situation, policies }))
      .sort((left, right) => sizeOf(left.policies) - sizeOf(right.policies))
      .slice(0, 2 * situationsAtOnce);
    if (smaller.length === 0) break;
    const { disagreements } = await compare(smaller);
    const next = disagreements.find(({ proxy }) => proxy === current.proxy);
    if (next === undefined) break;
    current = next;
  }
  return current;
};

const told = ({ situation: { workload, policies }, request, proxy, detail }: Disagreement, expected: Decide): string =>
  [
    ...policies.map((policy) => stringify({ kind: "AuthorizationPolicy", ...policy })),
    stringify({ workload }),
    stringify({ request }),
    `specification: ${JSON.stringify(expected(policies, workload, request))}`,
    `proxy: ${proxy}: ${detail}`,
    `seed ${seed}`,
  ].join("---\n");

export interface ComparisonOptions {
  readonly compile: Compile;
  readonly identities: Identities;
  readonly expected?: Decide;
  readonly pairs?: number;
}

/** Compares what proxies do, with what `compile` gives them, and what `expected` says; ends at the first disagreement. */
export const comparePairs = async ({
  compile,
  identities,
  expected = decide,
  pairs = pairCount,
}: ComparisonOptions): Promise<Comparison> => {
  const compare = (situations: readonly Situation[]): Promise<Round> =>
    round(situations, compile, identities, expected);
  const all = fc.sample(situation({ requests: requestsEach, hasCustom: hasExternalAuthorizers }), {
    seed,
    numRuns: Math.ceil(pairs / requestsEach),
  });
  let compared = 0;
  let allowed = 0;
  for (let start = 0; start < all.length; start += situationsAtOnce) {
    const batch = all.slice(start, start + situationsAtOnce);
    const result = await compare(batch);
    allowed += result.allowed;
    compared += batch.length * requestsEach;
    const [first] = result.disagreements;
    if (first !== undefined) return { compared, allowed, disagreement: told(await smallest(first, compare), expected) };
  }
  return { compared, allowed, disagreement: undefined };
};
