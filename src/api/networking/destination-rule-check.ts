import { error, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import type { DestinationRule, Subset } from "./destination-rule-spec.js";
import { checkLabels } from "./label-check.js";
import { checkTrafficPolicy } from "./traffic-policy-check.js";

const label = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const hostPattern = new RegExp(`^(\\*|(\\*\\.|\\*-)?${label}(\\.${label})*\\.?)$`);
const addressPattern = /^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/;
const namespacePattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

const checkHost = (host: string): readonly Finding[] => {
  if (!hostPattern.test(host) && !addressPattern.test(host))
    return [
      error(
        "spec.host",
        `${show(host)} is no host: write a name, or \`*.\` and a suffix; a wildcard stands alone at the front`,
      ),
    ];
  const parts = host.split(".");
  if (!host.startsWith("*") && parts.length === 2 && !/^\d+$/.test(parts[1]!) && !host.endsWith("."))
    return [
      warning(
        "spec.host",
        `${show(host)} is taken as it stands: for the service ${parts[0]} of the namespace ${parts[1]} write ${host}.svc.<cluster domain>`,
      ),
    ];
  return [];
};

const checkExportTo = (exportTo: readonly string[], hasSelector: boolean): readonly Finding[] => {
  const seen = new Set<string>();
  const findings = exportTo.flatMap((target, index): readonly Finding[] => {
    const at = `spec.exportTo[${index}]`;
    if (target === "*" && exportTo.length > 1) return [error(at, '"*" is all namespaces: remove it or the others')];
    if (target === "~")
      return [error(at, '"~" is for ServiceEntry only: write "." to keep the rule in its own namespace')];
    if (target !== "*" && target !== "." && !namespacePattern.test(target))
      return [error(at, `${show(target)} is no namespace: write a name, "." or "*"`)];
    if (seen.has(target)) return [warning(at, `${show(target)} is there already: remove it`)];
    seen.add(target);
    return [];
  });
  if (hasSelector && exportTo.some((target) => target !== "."))
    findings.push(
      warning(
        "spec.exportTo",
        `${show(exportTo)} has no effect with workloadSelector, which selects in the rule's own namespace: remove it`,
      ),
    );
  return findings;
};

const checkSubset = (path: string, subset: Subset, isDuplicate: boolean): readonly Finding[] => {
  const findings: Finding[] = [
    ...checkLabels(`${path}.labels`, subset.labels ?? {}),
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
  const selector = spec.workloadSelector?.matchLabels;
  const findings: Finding[] = [
    ...checkHost(spec.host),
    ...checkTrafficPolicy("spec.trafficPolicy", spec.trafficPolicy),
    ...checkExportTo(spec.exportTo ?? [], spec.workloadSelector !== undefined),
    ...checkLabels("spec.workloadSelector.matchLabels", selector ?? {}),
  ];
  if (spec.workloadSelector !== undefined && Object.keys(selector ?? {}).length === 0)
    findings.push(
      warning(
        "spec.workloadSelector.matchLabels",
        "nothing given, so all pods of the namespace are selected: give labels",
      ),
    );
  const names = new Set<string>();
  spec.subsets?.forEach((subset, index) => {
    findings.push(...checkSubset(`spec.subsets[${index}]`, subset, names.has(subset.name)));
    names.add(subset.name);
  });
  return findings;
};
