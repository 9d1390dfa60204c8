import { error, errorIf, show } from "../findings.js";
import type { Finding } from "../kind.js";
import { checkExportTo, isIpAddress, wildcardDomainFault } from "../names.js";
import { coveredHosts } from "./hosts.js";
import { createRegexCheck } from "./regex.js";
import { checkHttpRoutes } from "./virtual-service-check-http.js";
import { checkTcpRoutes, checkTlsRoutes } from "./virtual-service-check-l4.js";
import { checkGatewayNames, type RuleContext } from "./virtual-service-check-match.js";
import type { VirtualService, VirtualServiceSpec } from "./virtual-service-spec.js";

const checkHosts = (spec: VirtualServiceSpec, isForMesh: boolean): readonly Finding[] => {
  const hosts = spec.hosts ?? [];
  const faults = hosts.flatMap((host, index): Finding[] => {
    const path = `spec.hosts[${index}]`;
    if (host === "*" && isForMesh)
      return [error(path, '"*" is not allowed for the mesh; name the hosts, or gateways that do not include "mesh"')];
    return isIpAddress(host) ? [] : [...errorIf(path, wildcardDomainFault(host))];
  });
  if (faults.length > 0) return faults;
  return coveredHosts(hosts).map(({ index, by }) =>
    error(`spec.hosts[${index}]`, `${show(hosts[index])} is named by ${show(by)} already; remove one of them`),
  );
};

const checkDelegate = (spec: VirtualServiceSpec): readonly Finding[] =>
  (["gateways", "tls", "tcp"] as const)
    .filter((field) => (spec[field]?.length ?? 0) > 0)
    .map((field) =>
      error(
        `spec.${field}`,
        field === "gateways"
          ? "may not be set without hosts: the gateways are those of the VirtualService that delegates; remove it or add hosts"
          : "may not be set without hosts: only HTTP rules can be delegated to; remove it or add hosts",
      ),
    );

/** Everything about one VirtualService that can be told without the rest of the mesh. */
export const checkVirtualService = ({ spec, metadata }: VirtualService): readonly Finding[] => {
  const gateways = spec.gateways ?? [];
  const isDelegate = (spec.hosts?.length ?? 0) === 0;
  const isForMesh = gateways.length === 0 || gateways.includes("mesh");
  const context: RuleContext = {
    isDelegate,
    isForMesh: isForMesh && !isDelegate,
    hosts: spec.hosts ?? [],
    gateways: gateways.length === 0 ? ["mesh"] : gateways,
    namespace: metadata?.namespace ?? "default",
    regex: createRegexCheck(),
  };
  const isEmpty = (spec.http?.length ?? 0) + (spec.tls?.length ?? 0) + (spec.tcp?.length ?? 0) === 0;
  return [
    ...(isDelegate ? checkDelegate(spec) : checkHosts(spec, isForMesh)),
    ...checkGatewayNames(gateways, "spec.gateways"),
    ...checkExportTo("spec.exportTo", spec.exportTo),
    ...(isEmpty ? [error("spec", "has no rule; add one to http, tls or tcp")] : []),
    ...checkHttpRoutes(spec.http ?? [], context),
    ...checkTlsRoutes(spec.tls ?? [], context),
    ...checkTcpRoutes(spec.tcp ?? [], context),
  ];
};
