import type { StringMatch } from "../../api/networking/virtual-service.js";
import { usesClaims } from "../../api/networking/virtual-service-match.js";
import type { HttpMatch, StaticMatch } from "../../model/virtual-service-rules.js";
import type {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
} from "../../proto/envoy/config/route/v3/route_components_pb.js";
import type { StringMatcherSchema } from "../../proto/envoy/type/matcher/v3/string_pb.js";
import type { Init } from "../init.js";

export { isCatchAll } from "../../api/networking/virtual-service-match.js";

/** Whom the configuration is made for. */
export interface Client {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface MatchContext {
  readonly client: Client;
  /** That of the service, which the listener is for. */
  readonly port: number;
  /** What the proxy acts as: `mesh` for a sidecar, else `namespace/name` of gateways. */
  readonly gateways: ReadonlySet<string>;
}

const isForGateway = (gateways: readonly string[], context: MatchContext): boolean =>
  gateways.some((gateway) => context.gateways.has(gateway));

const isFromClient = ({ sourceLabels, sourceNamespace }: StaticMatch, { client }: MatchContext): boolean =>
  (sourceNamespace === undefined || sourceNamespace === client.namespace) &&
  Object.entries(sourceLabels ?? {}).every(([key, value]) => client.labels[key] === value);

const isOnPort = ({ port }: StaticMatch, context: MatchContext): boolean => port === undefined || port === context.port;

/** For TCP and TLS: everything has to hold. */
export const isForProxy = (match: StaticMatch, context: MatchContext): boolean =>
  isOnPort(match, context) &&
  isFromClient(match, context) &&
  (match.gateways === undefined || isForGateway(match.gateways, context));

/** For HTTP: where gateways are named, as Istio has it, the client is not looked at. Sidecars know no claims. */
export const isHttpForProxy = (match: HttpMatch, context: MatchContext): boolean =>
  isOnPort(match, context) &&
  (match.gateways === undefined ? isFromClient(match, context) : isForGateway(match.gateways, context)) &&
  !usesClaims(match);

/** Undefined where the value need only be present: nothing said, Istio's `*`, or the beginning of everything. */
export const stringMatcher = ({ exact, prefix, regex }: StringMatch): Init<typeof StringMatcherSchema> | undefined => {
  if (exact !== undefined) return { matchPattern: { case: "exact", value: exact } };
  if (prefix) return { matchPattern: { case: "prefix", value: prefix } };
  if (regex !== undefined && regex !== "*") return { matchPattern: { case: "safeRegex", value: { regex } } };
  return undefined;
};

type HeaderMatcher = Init<typeof HeaderMatcherSchema>;

const headerMatcher = (name: string, match: StringMatch): HeaderMatcher => {
  const value = stringMatcher(match);
  return {
    name,
    headerMatchSpecifier: value === undefined ? { case: "presentMatch", value: true } : { case: "stringMatch", value },
  };
};

/** A header that is missing does not match, whatever the value asked for. */
const withoutMatcher = (name: string, match: StringMatch): HeaderMatcher => ({
  ...headerMatcher(name, match),
  invertMatch: true,
  ...(stringMatcher(match) === undefined ? {} : { treatMissingHeaderAsEmpty: true }),
});

const byName = (
  fields: Readonly<Record<string, StringMatch>> | undefined,
): readonly (readonly [string, StringMatch])[] =>
  Object.entries(fields ?? {}).sort(([left], [right]) => (left < right ? -1 : 1));

const queryMatcher = ([name, match]: readonly [string, StringMatch]): Init<typeof QueryParameterMatcherSchema> => {
  const value = stringMatcher(match);
  return {
    name,
    queryParameterMatchSpecifier:
      value === undefined ? { case: "presentMatch", value: true } : { case: "stringMatch", value },
  };
};

type PathSpecifier = NonNullable<Init<typeof RouteMatchSchema>["pathSpecifier"]>;

const pathSpecifier = ({ exact, prefix, regex }: StringMatch): PathSpecifier => {
  if (exact !== undefined) return { case: "path", value: exact };
  if (regex !== undefined) return { case: "safeRegex", value: { regex } };
  return { case: "prefix", value: prefix || "/" };
};

/** What is looked at when the request comes; undefined for every request. */
export const routeMatch = (match: HttpMatch | undefined): Init<typeof RouteMatchSchema> => {
  if (match === undefined) return { pathSpecifier: { case: "prefix", value: "/" } };
  const { uri, method, authority, scheme, ignoreUriCase } = match;
  const pseudo = { ":method": method, ":authority": authority, ":scheme": scheme };
  return {
    pathSpecifier: pathSpecifier(uri ?? {}),
    ...(ignoreUriCase === true && uri?.regex === undefined ? { caseSensitive: false } : {}),
    headers: [
      ...byName(match.headers).map(([name, value]) => headerMatcher(name, value)),
      ...byName(match.withoutHeaders).map(([name, value]) => withoutMatcher(name, value)),
      ...Object.entries(pseudo).flatMap(([name, value]) => (value === undefined ? [] : [headerMatcher(name, value)])),
    ],
    queryParameters: byName(match.queryParams).map(queryMatcher),
  };
};
