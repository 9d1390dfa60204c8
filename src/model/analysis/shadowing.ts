import type {
  HttpMatchRequest,
  L4MatchAttributes,
  TlsMatchAttributes,
  VirtualService,
} from "../../api/networking/virtual-service.js";
import { coversConnection, coversHttp } from "./coverage.js";
import { type CodedFinding, found } from "./finding.js";
import { push } from "./named.js";

/** So many comparisons for one resource; a hostile one of thousands of matches must not hold admission up. */
const comparisonLimit = 100_000;

interface Placed<Match> {
  readonly match: Match;
  readonly path: string;
}

interface Earlier<Match> {
  readonly add: (placed: Placed<Match>) => void;
  /** The earlier matches that may cover this one. */
  readonly candidates: (match: Match) => Iterable<Placed<Match>>;
}

interface Rule<Match> {
  readonly path: string;
  /** Empty: everything. */
  readonly matches: readonly Placed<Match>[];
}

const inOrder = <Match>(): Earlier<Match> => {
  const placed: Placed<Match>[] = [];
  return { add: (match) => placed.push(match), candidates: () => placed };
};

/** By path, so that a VirtualService of thousands of paths is compared with few. */
const byPath = (): Earlier<HttpMatchRequest> => {
  const anyPath: Placed<HttpMatchRequest>[] = [];
  const byExact = new Map<string, Placed<HttpMatchRequest>[]>();
  const byPrefix = new Map<string, Placed<HttpMatchRequest>[]>();
  const byRegex = new Map<string, Placed<HttpMatchRequest>[]>();
  const lengths = new Set<number>();

  const add = (placed: Placed<HttpMatchRequest>): void => {
    const { exact, prefix, regex } = placed.match.uri ?? {};
    if (exact !== undefined) push(byExact, exact.toLowerCase(), placed);
    else if (prefix !== undefined && prefix !== "" && prefix !== "/") {
      push(byPrefix, prefix.toLowerCase(), placed);
      lengths.add(prefix.length);
    } else if (regex !== undefined && regex !== ".*") push(byRegex, regex, placed);
    else anyPath.push(placed);
  };

  function* candidates({ uri }: HttpMatchRequest): Generator<Placed<HttpMatchRequest>> {
    yield* anyPath;
    if (uri?.regex !== undefined) yield* byRegex.get(uri.regex) ?? [];
    const text = (uri?.exact ?? uri?.prefix)?.toLowerCase();
    if (text === undefined) return;
    if (uri?.exact !== undefined) yield* byExact.get(text) ?? [];
    for (const length of lengths) if (length <= text.length) yield* byPrefix.get(text.slice(0, length)) ?? [];
  }

  return { add, candidates };
};

const judge = <Match>(
  rules: readonly Rule<Match>[],
  earlier: Earlier<Match>,
  covers: (wide: Match, narrow: Match) => boolean,
  everything: Match,
): readonly CodedFinding[] => {
  const findings: CodedFinding[] = [];
  let left = comparisonLimit;
  const coverOf = (match: Match): Placed<Match> | undefined => {
    for (const candidate of earlier.candidates(match)) {
      if (left-- <= 0) return undefined;
      if (covers(candidate.match, match)) return candidate;
    }
    return undefined;
  };
  for (const rule of rules) {
    const matches = rule.matches.length === 0 ? [{ match: everything, path: rule.path }] : rule.matches;
    const covered = matches.flatMap((placed) => {
      const cover = coverOf(placed.match);
      // Within one rule, a match may cover its sibling too.
      earlier.add(placed);
      return cover === undefined ? [] : [{ placed, cover }];
    });
    const [first] = covered;
    if (first === undefined) continue;
    if (covered.length === matches.length && covered.every(({ cover }) => !cover.path.startsWith(`${rule.path}.`)))
      findings.push(
        found(
          "HDL0111",
          rule.path,
          `is never reached: ${first.cover.path} takes all that it would; move this rule above that one, or remove it`,
        ),
      );
    else
      for (const { placed, cover } of covered)
        findings.push(
          found(
            "HDL0112",
            placed.path,
            `has no effect: ${cover.path} takes all that it would; remove it or move it up`,
          ),
        );
  }
  return findings;
};

const place = <Match>(path: string, matches: readonly Match[] | undefined): Rule<Match> => ({
  path,
  matches: (matches ?? []).map((match, index) => ({ match, path: `${path}.match[${index}]` })),
});

/** Rules and matches of one VirtualService that its own earlier ones leave nothing for. */
export const checkShadowing = ({ spec }: VirtualService): readonly CodedFinding[] => {
  const gateways = spec.gateways ?? ["mesh"];
  const connections: readonly (readonly Rule<L4MatchAttributes | TlsMatchAttributes>[])[] = [
    (spec.tls ?? []).map((rule, index) => place(`spec.tls[${index}]`, rule.match)),
    (spec.tcp ?? []).map((rule, index) => place(`spec.tcp[${index}]`, rule.match)),
  ];
  return [
    ...judge(
      (spec.http ?? []).map((rule, index) => place(`spec.http[${index}]`, rule.match)),
      byPath(),
      (wide, narrow) => coversHttp(wide, narrow, gateways),
      {},
    ),
    ...connections.flatMap((rules) =>
      judge(rules, inOrder(), (wide, narrow) => coversConnection(wide, narrow, gateways), {}),
    ),
  ];
};
