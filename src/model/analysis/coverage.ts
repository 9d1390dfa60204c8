import type {
  HttpMatchRequest,
  L4MatchAttributes,
  StringMatch,
  TlsMatchAttributes,
} from "../../api/networking/virtual-service.js";

/** Every function here is careful: it says that one match covers another only if that is certain. */

interface Folding {
  readonly wide: boolean;
  readonly narrow: boolean;
}

const caseMatters: Folding = { wide: false, narrow: false };

const hasLetters = (text: string): boolean => text.toLowerCase() !== text.toUpperCase();

const isAnything = (match: StringMatch): boolean => match.regex === ".*";

const isPresence = ({ exact, prefix, regex }: StringMatch): boolean =>
  (exact ?? "") === "" && (prefix ?? "") === "" && (regex === undefined || regex === "" || regex === "*");

/** Whether what fits `narrow` always fits `wide`. */
const fits = (wide: StringMatch, narrow: StringMatch | undefined, folding = caseMatters): boolean => {
  if (narrow === undefined) return false;
  const text = wide.exact ?? wide.prefix;
  if (text === undefined) return wide.regex !== undefined && wide.regex === narrow.regex;
  if (folding.narrow && !folding.wide && hasLetters(text)) return false;
  const fold = (value: string): string => (folding.wide ? value.toLowerCase() : value);
  if (wide.exact !== undefined) return narrow.exact !== undefined && fold(narrow.exact) === fold(text);
  const beginning = narrow.exact ?? narrow.prefix;
  return beginning !== undefined && fold(beginning).startsWith(fold(text));
};

/** Of a value that every request has: path, method, scheme, authority. */
const coversValue = (wide: StringMatch | undefined, narrow: StringMatch | undefined, folding?: Folding): boolean =>
  wide === undefined || isAnything(wide) || fits(wide, narrow, folding);

/** Of a value that may be missing. */
const coversOptional = (wide: StringMatch, narrow: StringMatch | undefined): boolean => {
  if (narrow === undefined) return false;
  if (!isPresence(wide)) return !isPresence(narrow) && fits(wide, narrow);
  return isPresence(narrow) || (narrow.exact ?? narrow.prefix ?? "") !== "";
};

type Matches = Readonly<Record<string, StringMatch>>;

const lowerCase = (headers: Matches | undefined): ReadonlyMap<string, StringMatch> =>
  new Map(Object.entries(headers ?? {}).map(([name, match]) => [name.toLowerCase(), match]));

const coversHeaders = (wide: Matches | undefined, narrow: Matches | undefined): boolean => {
  if (wide === undefined) return true;
  const own = lowerCase(narrow);
  return [...lowerCase(wide)].every(([name, match]) => coversOptional(match, own.get(name)));
};

const coversParameters = (wide: Matches | undefined, narrow: Matches | undefined): boolean =>
  Object.entries(wide ?? {}).every(([name, match]) => coversOptional(match, narrow?.[name]));

/** A header that must not fit something must, on the narrow side, not fit at least as much. */
const coversAbsence = (wide: Matches | undefined, narrow: Matches | undefined): boolean => {
  if (wide === undefined) return true;
  const own = lowerCase(narrow);
  return [...lowerCase(wide)].every(([name, match]) => {
    const excluded = own.get(name);
    return excluded !== undefined && coversOptional(excluded, match);
  });
};

interface StaticMatch {
  readonly port?: number;
  readonly gateways?: readonly string[];
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly sourceNamespace?: string;
}

const coversPort = (wide: StaticMatch, narrow: StaticMatch): boolean => !wide.port || wide.port === narrow.port;

const coversGateways = (wide: StaticMatch, narrow: StaticMatch, all: readonly string[]): boolean => {
  if (wide.gateways === undefined || wide.gateways.length === 0) return true;
  const own = narrow.gateways === undefined || narrow.gateways.length === 0 ? all : narrow.gateways;
  return own.every((gateway) => wide.gateways?.includes(gateway));
};

const coversSource = (wide: StaticMatch, narrow: StaticMatch): boolean =>
  (!wide.sourceNamespace || wide.sourceNamespace === narrow.sourceNamespace) &&
  Object.entries(wide.sourceLabels ?? {}).every(([name, value]) => narrow.sourceLabels?.[name] === value);

/** For HTTP, a match that names gateways looks at no source. */
const sourceOf = (match: HttpMatchRequest): StaticMatch =>
  match.gateways === undefined || match.gateways.length === 0 ? match : {};

/** Whether every request that `narrow` takes is one that `wide` takes. `gateways` are those of the resource. */
export const coversHttp = (wide: HttpMatchRequest, narrow: HttpMatchRequest, gateways: readonly string[]): boolean => {
  const isAnyPath = wide.uri?.prefix === "/" || wide.uri?.prefix === "";
  const folding = { wide: wide.ignoreUriCase === true, narrow: narrow.ignoreUriCase === true };
  return (
    (isAnyPath || coversValue(wide.uri, narrow.uri, folding)) &&
    coversValue(wide.method, narrow.method) &&
    coversValue(wide.scheme, narrow.scheme) &&
    coversValue(wide.authority, narrow.authority) &&
    coversHeaders(wide.headers, narrow.headers) &&
    coversParameters(wide.queryParams, narrow.queryParams) &&
    coversAbsence(wide.withoutHeaders, narrow.withoutHeaders) &&
    coversPort(wide, narrow) &&
    coversGateways(wide, narrow, gateways) &&
    coversSource(sourceOf(wide), sourceOf(narrow))
  );
};

const coversName = (wide: string, narrow: string): boolean =>
  wide === narrow || wide === "*" || (wide.startsWith("*.") && narrow.endsWith(wide.slice(1)));

const coversSubnets = (wide: readonly string[] | undefined, narrow: readonly string[] | undefined): boolean =>
  wide === undefined ||
  wide.length === 0 ||
  (narrow !== undefined && narrow.length > 0 && narrow.every((subnet) => wide.includes(subnet)));

/** As `coversHttp`, of connections; all conditions of a match hold together. */
export const coversConnection = (
  wide: L4MatchAttributes | TlsMatchAttributes,
  narrow: L4MatchAttributes | TlsMatchAttributes,
  gateways: readonly string[],
): boolean => {
  const names = "sniHosts" in wide ? wide.sniHosts : undefined;
  const own = "sniHosts" in narrow ? narrow.sniHosts : [];
  return (
    (names === undefined ||
      own.every((name) => names.some((known) => coversName(known.toLowerCase(), name.toLowerCase())))) &&
    coversSubnets(wide.destinationSubnets, narrow.destinationSubnets) &&
    coversPort(wide, narrow) &&
    coversGateways(wide, narrow, gateways) &&
    coversSource(wide, narrow)
  );
};
