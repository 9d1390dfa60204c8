import { show } from "../../api/findings.js";
import type { ServiceEntry } from "../../api/networking/service-entry.js";
import { byAge } from "../age.js";
import { exportTargets } from "../hosts.js";
import type { MeshService } from "../service.js";
import { entryOfService } from "../service-entry.js";
import { type CodedFinding, found } from "./finding.js";
import { named, resourceOf } from "./hosts.js";
import { type AnalysisIndex, opaquePorts } from "./index.js";
import { keyOf, namespaceOf, overlap } from "./named.js";
import { checkExportTo, checkSelector } from "./scope.js";

const othersOf = (index: AnalysisIndex, host: string, key: string): readonly MeshService[] => {
  const { exact, wildcards } = index.hosts();
  const entries = host.startsWith("*") ? wildcards.get(host) : exact.get(host);
  return (entries ?? []).filter((entry) => entry.origin === "Service" || entryOfService(entry) !== key);
};

const checkHosts = (index: AnalysisIndex, object: ServiceEntry): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  const exportTo = exportTargets(object.spec.exportTo, namespace, index.mesh.defaultServiceExportTo);
  return object.spec.hosts.flatMap((host, position) => {
    const path = `spec.hosts[${position}]`;
    const others = othersOf(index, host.toLowerCase(), keyOf(object)).filter((other) =>
      overlap(other.exportTo, exportTo),
    );
    const service = others.find(({ origin }) => origin === "Service");
    if (service !== undefined)
      return [
        found(
          "HDL0303",
          path,
          `${show(host)} is the host of ${resourceOf(service)} too; use another, or drop the Service`,
        ),
      ];
    const older = others.find((other) => byAge(named(other), object) < 0);
    if (older === undefined) return [];
    const outcome =
      older.namespace === namespace
        ? "comes first, and this one is not seen"
        : `is what clients outside namespace ${namespace} see`;
    return [
      found(
        "HDL0302",
        path,
        `${show(host)}: ${resourceOf(older)} defines it too and ${outcome}; keep one, or restrict exportTo`,
      ),
    ];
  });
};

const checkPorts = (index: AnalysisIndex, object: ServiceEntry): readonly CodedFinding[] => {
  const exportTo = exportTargets(object.spec.exportTo, namespaceOf(object), index.mesh.defaultServiceExportTo);
  const hosts = new Set(object.spec.hosts);
  return opaquePorts(object).flatMap((port) => {
    const winner = index
      .addressless()
      .get(port)
      ?.find(
        (other) =>
          keyOf(other) !== keyOf(object) &&
          byAge(other, object) < 0 &&
          !other.spec.hosts.some((host) => hosts.has(host)) &&
          overlap(exportTargets(other.spec.exportTo, namespaceOf(other), index.mesh.defaultServiceExportTo), exportTo),
      );
    const position = (object.spec.ports ?? []).findIndex(({ number }) => number === port);
    return winner === undefined
      ? []
      : [
          found(
            "HDL0301",
            `spec.ports[${position}].number`,
            `${port}: without addresses this is all TCP traffic to the port, and ServiceEntry ${keyOf(winner)} takes it first; give both their addresses, or other ports`,
          ),
        ];
  });
};

export const checkServiceEntryReferences = (index: AnalysisIndex, object: ServiceEntry): readonly CodedFinding[] => [
  ...checkHosts(index, object),
  ...checkPorts(index, object),
  ...checkSelector(index, namespaceOf(object), object.spec.workloadSelector?.labels, "spec.workloadSelector.labels"),
  ...checkExportTo(index, object.spec.exportTo),
];
