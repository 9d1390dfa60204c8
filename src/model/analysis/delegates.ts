import { show } from "../../api/findings.js";
import type { VirtualService } from "../../api/networking/virtual-service.js";
import { exportTargets, isExportedTo } from "../hosts.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import { type AnalysisIndex, delegateKey } from "./index.js";
import { keyOf, namespaceOf } from "./named.js";

const isDelegate = ({ spec }: VirtualService): boolean => spec.hosts === undefined || spec.hosts.length === 0;

const checkRule = (index: AnalysisIndex, root: VirtualService, key: string, path: string): readonly CodedFinding[] => {
  const delegate = index.virtualServices().get(key);
  if (delegate === undefined)
    return [
      found("HDL0116", path, `${show(key)}: there is no such VirtualService; create it, or correct name and namespace`),
    ];
  const namespace = namespaceOf(root);
  const exportTo = exportTargets(
    delegate.spec.exportTo,
    namespaceOf(delegate),
    index.mesh.defaultVirtualServiceExportTo,
  );
  if (!isExportedTo(exportTo, namespace))
    return [
      found(
        "HDL0117",
        path,
        `${show(key)} is exported to ${enumerate(exportTo) || "none"}, not to namespace ${namespace}; add it to exportTo there`,
      ),
    ];
  if (!isDelegate(delegate) || (delegate.spec.gateways ?? []).length > 0)
    return [
      found("HDL0120", path, `${show(key)} has hosts or gateways of its own, so it is no delegate; remove them there`),
    ];
  return [];
};

/** What a rule hands over to, and whether anyone hands over to this one. */
export const checkDelegates = (index: AnalysisIndex, object: VirtualService): readonly CodedFinding[] => {
  const findings: CodedFinding[] = [];
  (object.spec.http ?? []).forEach(({ delegate }, position) => {
    if (delegate === undefined) return;
    const key = delegateKey(delegate, object);
    const path = `spec.http[${position}].delegate`;
    findings.push(...checkRule(index, object, key, path));
    const others = (index.delegateUses().get(key) ?? [])
      .filter((use) => keyOf(use.root) !== keyOf(object) || use.path !== `spec.http[${position}]`)
      .map((use) => `${keyOf(use.root)} ${use.path}`);
    if (others.length > 0)
      findings.push(
        found("HDL0118", path, `${show(key)} is named by ${enumerate(others)} too; a change of it reaches both`),
      );
  });
  if (isDelegate(object) && !index.delegateUses().has(keyOf(object)))
    findings.push(
      found(
        "HDL0119",
        "spec.hosts",
        "there are none, so this is a delegate, and no VirtualService names it; name it, or add hosts",
      ),
    );
  return findings;
};
