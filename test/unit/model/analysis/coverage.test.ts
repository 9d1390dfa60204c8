import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { HttpMatchRequest, StringMatch } from "../../../../src/api/networking/virtual-service.ts";
import { coversHttp } from "../../../../src/model/analysis/coverage.ts";

/** A small world in which matches often overlap, and every request of it. */
interface Request {
  readonly path: string;
  readonly method: string;
  readonly header: string | undefined;
  readonly query: string | undefined;
  readonly port: number;
  readonly label: string;
  readonly gateway: string;
}

const paths = ["/", "/a", "/A", "/ab", "/b", "/ab/c"];
const values = ["", "x", "xy", "Y"];
const gateways = ["mesh", "prod/front"];

const requests: readonly Request[] = paths.flatMap((path) =>
  ["GET", "POST"].flatMap((method) =>
    [undefined, ...values].flatMap((header) =>
      [undefined, "x", "xy"].flatMap((query) =>
        [80, 81].flatMap((port) =>
          ["l1", "l2"].flatMap((label) =>
            gateways.map((gateway) => ({ path, method, header, query, port, label, gateway })),
          ),
        ),
      ),
    ),
  ),
);

const fits = (match: StringMatch, value: string, foldsCase = false): boolean => {
  const fold = (text: string): string => (foldsCase ? text.toLowerCase() : text);
  if (match.exact !== undefined) return fold(value) === fold(match.exact);
  if (match.prefix !== undefined) return fold(value).startsWith(fold(match.prefix));
  return match.regex === undefined || new RegExp(`^(?:${match.regex})$`).test(value);
};

const isPresence = ({ exact, prefix, regex }: StringMatch): boolean =>
  [exact, prefix].every((text) => text === undefined || text === "") && [undefined, "", "*"].includes(regex);

/** As the proxy does: a missing value counts as empty, unless presence is asked for. */
const fitsOptional = (match: StringMatch, value: string | undefined): boolean =>
  isPresence(match) ? value !== undefined : fits(match, value ?? "");

const takes = (match: HttpMatchRequest, request: Request): boolean => {
  const { uri, method, headers, withoutHeaders, queryParams, port, gateways: own, sourceLabels } = match;
  const looksAtSource = own === undefined || own.length === 0;
  return (
    (uri === undefined || fits(uri, request.path, match.ignoreUriCase === true && uri.regex === undefined)) &&
    (method === undefined || fits(method, request.method)) &&
    Object.values(headers ?? {}).every((value) => fitsOptional(value, request.header)) &&
    Object.values(withoutHeaders ?? {}).every((value) => !fitsOptional(value, request.header)) &&
    Object.values(queryParams ?? {}).every((value) => fitsOptional(value, request.query)) &&
    (port === undefined || port === request.port) &&
    (looksAtSource || own.includes(request.gateway)) &&
    (!looksAtSource || Object.values(sourceLabels ?? {}).every((label) => label === request.label))
  );
};

const stringMatch = (texts: readonly string[], regexes: readonly string[]): fc.Arbitrary<StringMatch> =>
  fc.oneof(
    fc.constantFrom(...texts).map((exact) => ({ exact })),
    fc.constantFrom(...texts).map((prefix) => ({ prefix })),
    fc.constantFrom(...regexes).map((regex) => ({ regex })),
  );
const optional = fc.oneof(stringMatch(values, [".*", "x.*", "*"]), fc.constant({}));

const arbitraryMatch: fc.Arbitrary<HttpMatchRequest> = fc.record(
  {
    uri: stringMatch(paths, [".*", "/a.*"]),
    ignoreUriCase: fc.boolean(),
    method: stringMatch(["GET", "POST"], [".*", "G.*"]),
    headers: fc.record({ "X-H": optional }),
    withoutHeaders: fc.record({ "x-h": optional }),
    queryParams: fc.record({ q: stringMatch(["x", "xy"], [".*", "x"]) }),
    port: fc.constantFrom(80, 81),
    gateways: fc.subarray([...gateways]),
    sourceLabels: fc.record({ app: fc.constantFrom("l1", "l2") }),
  },
  { requiredKeys: [] },
);

/** Half of the pairs differ in little, or hardly any would cover each other. */
const arbitraryPair = fc
  .tuple(arbitraryMatch, arbitraryMatch, fc.boolean())
  .map(([wide, other, isAlike]) => [wide, isAlike ? { ...wide, ...other } : other] as const);

test("what a match is said to cover, it takes: no reachable rule is ever called unreachable", () => {
  let covered = 0;
  fc.assert(
    fc.property(arbitraryPair, ([wide, narrow]) => {
      if (!coversHttp(wide, narrow, gateways)) return;
      covered += 1;
      for (const request of requests)
        if (takes(narrow, request) && !takes(wide, request))
          assert.unreachable(`${JSON.stringify(wide)} does not take ${JSON.stringify(request)}`);
    }),
    { numRuns: 20_000 },
  );
  assert.ok(covered > 30, `only ${covered} pairs covered each other`);
});

test("what is obvious is seen", () => {
  const obvious: readonly (readonly [HttpMatchRequest, HttpMatchRequest, boolean])[] = [
    [{}, { uri: { exact: "/a" } }, true],
    [{ uri: { prefix: "/" } }, {}, true],
    [{ uri: { regex: ".*" } }, { uri: { regex: "/x+" } }, true],
    [{ uri: { prefix: "/api" } }, { uri: { prefix: "/api/v1" } }, true],
    [{ uri: { prefix: "/API" }, ignoreUriCase: true }, { uri: { exact: "/api/v1" } }, true],
    [{ uri: { prefix: "/api" } }, { uri: { prefix: "/api/v1" }, ignoreUriCase: true }, false],
    [{ uri: { prefix: "/api/v1" } }, { uri: { prefix: "/api" } }, false],
    [{ headers: { "x-user": {} } }, { headers: { "X-User": { exact: "ann" } } }, true],
    [{ headers: { "x-user": { exact: "ann" } } }, {}, false],
    [{ withoutHeaders: { a: { prefix: "x" } } }, { withoutHeaders: { A: {} } }, true],
    [{ withoutHeaders: { a: {} } }, { withoutHeaders: { a: { prefix: "x" } } }, false],
    [{ gateways: ["mesh"] }, {}, false],
    [{ gateways: ["mesh", "prod/front"] }, {}, true],
    [{ sourceLabels: { app: "a" } }, { sourceLabels: { app: "a", version: "v1" } }, true],
    [{ gateways: ["mesh", "prod/front"], sourceLabels: { app: "a" } }, {}, true],
  ];
  for (const [wide, narrow, expected] of obvious)
    assert.is(coversHttp(wide, narrow, gateways), expected, JSON.stringify([wide, narrow]));
});

test.run();
