import { error, errorIf, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { isIpAddress, subnetFault, wildcardDomainFault } from "../names.js";
import { hostCovers } from "./hosts.js";
import { checkDestinations } from "./virtual-service-check-destination.js";
import { checkStaticMatch, type RuleContext } from "./virtual-service-check-match.js";
import type { L4MatchAttributes, TcpRoute, TlsRoute } from "./virtual-service-l4.js";

const checkSubnets = (subnets: readonly string[], path: string): readonly Finding[] =>
  subnets.flatMap((subnet, index) => errorIf(`${path}[${index}]`, subnetFault(subnet)));

const checkSniHost = (host: string, path: string, hosts: readonly string[]): readonly Finding[] => {
  if (isIpAddress(host)) return [warning(path, `${show(host)} is an address, which SNI cannot carry; use a name`)];
  const fault = wildcardDomainFault(host);
  if (fault !== undefined) return [error(path, fault)];
  if (/^\*[^.]/.test(host)) return [error(path, `${show(host)}: a star stands for whole parts of a name; write "*."`)];
  return hosts.some((outer) => hostCovers(outer, host))
    ? []
    : [error(path, `${show(host)} is none of spec.hosts; add it there`)];
};

export const checkTlsRoutes = (routes: readonly TlsRoute[], context: RuleContext): readonly Finding[] =>
  routes.flatMap(({ match, route }, index) => {
    const path = `spec.tls[${index}]`;
    return [
      ...(match.length === 0 ? [error(`${path}.match`, "is empty; a TLS rule needs a match with sniHosts")] : []),
      ...match.flatMap((each, at) => {
        const where = `${path}.match[${at}]`;
        return [
          ...(each.sniHosts.length === 0 ? [error(`${where}.sniHosts`, "is empty; name at least one host")] : []),
          ...each.sniHosts.flatMap((host, sni) => checkSniHost(host, `${where}.sniHosts[${sni}]`, context.hosts)),
          ...checkSubnets(each.destinationSubnets ?? [], `${where}.destinationSubnets`),
          ...checkStaticMatch(each, where, context),
        ];
      }),
      ...checkDestinations(route ?? [], `${path}.route`),
    ];
  });

const takesEvery = ({
  destinationSubnets,
  port,
  sourceLabels,
  gateways,
  sourceNamespace,
}: L4MatchAttributes): boolean =>
  (destinationSubnets?.length ?? 0) + (port ?? 0) + (gateways?.length ?? 0) === 0 &&
  Object.keys(sourceLabels ?? {}).length === 0 &&
  (sourceNamespace ?? "") === "";

export const checkTcpRoutes = (routes: readonly TcpRoute[], context: RuleContext): readonly Finding[] => {
  const last = routes.findIndex(({ match }) => (match?.length ?? 0) === 0 || match?.some(takesEvery));
  return routes.flatMap(({ match, route }, index) => {
    const path = `spec.tcp[${index}]`;
    return [
      ...(match ?? []).flatMap((each, at) => {
        const where = `${path}.match[${at}]`;
        return [
          ...checkSubnets(each.destinationSubnets ?? [], `${where}.destinationSubnets`),
          ...checkStaticMatch(each, where, context),
          ...(each.sourceSubnet === undefined || each.sourceSubnet === ""
            ? []
            : [warning(`${where}.sourceSubnet`, "is not looked at; use sourceLabels or sourceNamespace")]),
        ];
      }),
      ...checkDestinations(route ?? [], `${path}.route`),
      ...(last >= 0 && index > last
        ? [warning(path, `is never reached: spec.tcp[${last}] takes every connection; put it before that`)]
        : []),
    ];
  });
};
