import { error, errorIf, member, show } from "../findings.js";
import type { Finding } from "../kind.js";
import { headerNameFault, headerValueFault } from "./headers.js";
import type { HttpRoute } from "./virtual-service-http.js";
import { isAuthority } from "./virtual-service-match.js";
import type { HeaderOperations, Headers } from "./virtual-service-policy.js";

/** What Envoy takes in one list. */
const mostHeaders = 1000;

const nameFault = (name: string, isAuthorityAllowed: boolean): string | undefined => {
  if (isAuthority(name))
    return isAuthorityAllowed ? undefined : `${show(name)} cannot be changed here; use rewrite.authority`;
  if (name.startsWith(":")) return `${show(name)} is a pseudo-header, which cannot be changed; use rewrite`;
  const fault = headerNameFault(name);
  return fault === undefined ? undefined : `${show(name)} ${fault}`;
};

const checkOperations = (
  operations: HeaderOperations | undefined,
  path: string,
  isRequest: boolean,
): readonly Finding[] => {
  if (operations === undefined) return [];
  const added = Object.keys(operations.set ?? {}).length + Object.keys(operations.add ?? {}).length;
  return [
    ...(["set", "add"] as const).flatMap((kind) =>
      Object.entries(operations[kind] ?? {}).flatMap(([name, value]) => {
        const at = member(`${path}.${kind}`, name);
        const fault = isAuthority(name) && value === "" ? "is empty; name a host" : headerValueFault(value);
        return [
          ...errorIf(at, nameFault(name, isRequest)),
          ...errorIf(at, fault === undefined ? undefined : `${show(value)} ${fault}`),
        ];
      }),
    ),
    ...(operations.remove ?? []).flatMap((name, index) => errorIf(`${path}.remove[${index}]`, nameFault(name, false))),
    ...(added > mostHeaders ? [error(path, `sets and adds ${added} headers; ${mostHeaders} is the most`)] : []),
  ];
};

const checkBoth = (headers: Headers | undefined, path: string): readonly Finding[] => [
  ...checkOperations(headers?.request, `${path}.request`, true),
  ...checkOperations(headers?.response, `${path}.response`, false),
];

const authoritiesOf = (route: HttpRoute): number =>
  (route.rewrite?.authority ? 1 : 0) +
  [route.headers?.request?.set, route.headers?.request?.add]
    .flatMap((headers) => Object.keys(headers ?? {}))
    .filter(isAuthority).length;

/** Headers of a rule and of its destinations. */
export const checkHeaders = (route: HttpRoute, path: string): readonly Finding[] => [
  ...checkBoth(route.headers, `${path}.headers`),
  ...(route.route ?? []).flatMap(({ headers }, index) => checkBoth(headers, `${path}.route[${index}].headers`)),
  ...(authoritiesOf(route) > 1
    ? [error(`${path}.headers.request`, "the authority is set more than once; keep rewrite.authority alone")]
    : []),
];
