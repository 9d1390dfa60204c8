import { error, errorIf, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { domainFault, labelNameFault } from "../names.js";
import { checkDestination, checkDestinations } from "./virtual-service-check-destination.js";
import { checkHeaders } from "./virtual-service-check-headers.js";
import { checkHttpMatch, type RuleContext } from "./virtual-service-check-match.js";
import { checkCors, checkFault, checkRetries, timeFault } from "./virtual-service-check-policy.js";
import { checkDirectResponse, checkRedirect, checkRewrite } from "./virtual-service-check-response.js";
import type { HttpMatchRequest, HttpRoute } from "./virtual-service-http.js";
import { isCatchAll } from "./virtual-service-match.js";

const actionsOf = (route: HttpRoute): readonly string[] =>
  (["route", "redirect", "directResponse", "delegate"] as const).filter((action) =>
    action === "route" ? (route.route?.length ?? 0) > 0 : route[action] !== undefined,
  );

const checkActions = (route: HttpRoute, path: string): readonly Finding[] => {
  const actions = actionsOf(route);
  if (actions.length === 0)
    return [error(path, "does nothing with its requests; add one of route, redirect, directResponse, delegate")];
  if (actions.length > 1) return [error(path, `has ${actions.join(" and ")}; keep one of them`)];
  if (route.redirect === undefined && route.directResponse === undefined) return [];
  return (["fault", "rewrite", "mirror", "mirrors"] as const)
    .filter((field) => route[field] !== undefined)
    .map((field) =>
      field === "fault" || field === "rewrite"
        ? error(`${path}.${field}`, `may not stand beside ${actions[0]}, which sends nothing on; remove one of them`)
        : warning(`${path}.${field}`, `has no effect beside ${actions[0]}, which sends nothing on`),
    );
};

const checkDelegate = ({ delegate }: HttpRoute, path: string, { isDelegate }: RuleContext): readonly Finding[] => {
  if (delegate === undefined) return [];
  if (isDelegate)
    return [error(`${path}.delegate`, "a VirtualService without hosts may not delegate in turn; add hosts")];
  return [
    ...errorIf(`${path}.delegate.name`, domainFault(delegate.name ?? "")),
    ...(delegate.namespace ? errorIf(`${path}.delegate.namespace`, labelNameFault(delegate.namespace)) : []),
  ];
};

const checkMirrors = (route: HttpRoute, path: string): readonly Finding[] => [
  ...(route.mirror !== undefined && (route.mirrors?.length ?? 0) > 0
    ? [error(path, "has mirror and mirrors; move the first into the second")]
    : []),
  ...(route.mirror === undefined ? [] : checkDestination(route.mirror, `${path}.mirror`)),
  ...(route.mirrors ?? []).flatMap(({ destination }, index) =>
    checkDestination(destination, `${path}.mirrors[${index}].destination`),
  ),
  ...(["mirrorPercent", "mirror_percent"] as const)
    .filter((field) => route[field] !== undefined)
    .map((field) => warning(`${path}.${field}`, "is deprecated; use mirrorPercentage.value")),
  ...(route.mirror === undefined && route.mirrorPercentage !== undefined
    ? [warning(`${path}.mirrorPercentage`, "has no effect without mirror; mirrors have a percentage of their own")]
    : []),
];

export const checkHttpRoute = (route: HttpRoute, path: string, context: RuleContext): readonly Finding[] => [
  ...checkActions(route, path),
  ...(route.match ?? []).flatMap((match, index) => checkHttpMatch(match, `${path}.match[${index}]`, context)),
  ...((route.route?.length ?? 0) > 0 ? checkDestinations(route.route ?? [], `${path}.route`) : []),
  ...checkDelegate(route, path, context),
  ...checkMirrors(route, path),
  ...checkRedirect(route, path),
  ...checkDirectResponse(route.directResponse, `${path}.directResponse`),
  ...checkRewrite(route, path, context.regex),
  ...(route.timeout === undefined ? [] : errorIf(`${path}.timeout`, timeFault(route.timeout))),
  ...checkRetries(route.retries, route.timeout, `${path}.retries`),
  ...checkFault(route.fault, `${path}.fault`),
  ...checkCors(route.corsPolicy, `${path}.corsPolicy`, context.regex),
  ...checkHeaders(route, path),
];

const hasStaticCondition = ({ port, sourceLabels, gateways, sourceNamespace }: HttpMatchRequest): boolean =>
  (port ?? 0) > 0 ||
  (gateways?.length ?? 0) > 0 ||
  Object.keys(sourceLabels ?? {}).length > 0 ||
  (sourceNamespace ?? "") !== "";

const takesEvery = ({ match }: HttpRoute): boolean =>
  (match?.length ?? 0) === 0 || match!.some((each) => isCatchAll(each) && !hasStaticCondition(each));

const sorted = (_key: string, value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
    : value;

/** Matches that an equal one of an earlier rule has taken. */
const repeatedMatches = (routes: readonly HttpRoute[]): readonly Finding[] => {
  const seen = new Map<string, string>();
  return routes.flatMap(({ match }, index) =>
    (match ?? []).flatMap(({ name: _name, statPrefix: _statPrefix, ...conditions }, at): Finding[] => {
      const path = `spec.http[${index}].match[${at}]`;
      const text = JSON.stringify(conditions, sorted);
      const before = seen.get(text);
      if (before === undefined) {
        seen.set(text, path);
        return [];
      }
      return [warning(path, `is never reached: ${before} is the same; remove one`)];
    }),
  );
};

export const checkHttpRoutes = (routes: readonly HttpRoute[], context: RuleContext): readonly Finding[] => {
  const last = routes.findIndex(takesEvery);
  return [
    ...routes.flatMap((route, index) => checkHttpRoute(route, `spec.http[${index}]`, context)),
    ...routes
      .map((_route, index) => index)
      .filter((index) => last >= 0 && index > last)
      .map((index) =>
        warning(`spec.http[${index}]`, `is never reached: spec.http[${last}] takes every request; put it before that`),
      ),
    ...repeatedMatches(last < 0 ? routes : routes.slice(0, last + 1)),
  ];
};
