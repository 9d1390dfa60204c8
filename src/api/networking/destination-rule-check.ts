import { error, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { checkExportTo, checkLabels, checkSelector, isIpAddress, wildcardDomainFault } from "../names.js";
import type { DestinationRule, Subset } from "./destination-rule-spec.js";
import { checkTrafficPolicy } from "./traffic-policy-check.js";

const checkHost = (host: string): readonly Finding[] => {
  if (isIpAddress(host)) return [];
  const fault = wildcardDomainFault(host);
  if (fault !== undefined) return [error("spec.host", fault)];
  const parts = host.split(".");
  if (!host.startsWith("*") && parts.length === 2 && !host.endsWith("."))
    return [
      warning(
        "spec.host",
        `${show(host)} is taken as it stands: for the service ${parts[0]} of the namespace ${parts[1]} write ${host}.svc.<cluster domain>`,
      ),
    ];
  return [];
};

const checkSubset = (path: string, subset: Subset, isDuplicate: boolean): readonly Finding[] => {
  const findings: Finding[] = [
    ...checkLabels(`${path}.labels`, subset.labels),
    ...checkTrafficPolicy(`${path}.trafficPolicy`, subset.trafficPolicy),
  ];
  if (!/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/.test(subset.name))
    findings.push(error(`${path}.name`, `${show(subset.name)} is no name of a subset: write letters, digits and -`));
  if (isDuplicate)
    findings.push(error(`${path}.name`, `${show(subset.name)} is the name of an earlier subset: give another`));
  if (Object.keys(subset.labels ?? {}).length === 0)
    findings.push(
      warning(`${path}.labels`, "nothing given, so the subset is all endpoints of the service: give labels"),
    );
  return findings;
};

export const checkDestinationRule = ({ spec }: DestinationRule): readonly Finding[] => {
  const hasSelector = spec.workloadSelector !== undefined;
  const findings: Finding[] = [
    ...checkHost(spec.host),
    ...checkTrafficPolicy("spec.trafficPolicy", spec.trafficPolicy),
    ...checkExportTo("spec.exportTo", spec.exportTo),
    ...checkSelector("spec.workloadSelector", spec.workloadSelector, "matchLabels"),
  ];
  if (hasSelector && spec.exportTo?.some((target) => target !== "."))
    findings.push(
      warning(
        "spec.exportTo",
        `${show(spec.exportTo)} has no effect with workloadSelector, which selects in the rule's own namespace: remove it`,
      ),
    );
  const names = new Set<string>();
  spec.subsets?.forEach((subset, index) => {
    findings.push(...checkSubset(`spec.subsets[${index}]`, subset, names.has(subset.name)));
    names.add(subset.name);
  });
  return findings;
};
