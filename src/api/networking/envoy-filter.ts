import { defineKind } from "../kind.js";
import { checkEnvoyFilter } from "./envoy-filter-check.js";
import { EnvoyFilterSpec } from "./envoy-filter-spec.js";
import { networkingGroup } from "./group.js";

export type { ApplyTo, EnvoyConfigObjectPatch, EnvoyFilter, Operation } from "./envoy-filter-spec.js";
export { EnvoyFilterSpec };

export const envoyFilter = defineKind({
  kind: "EnvoyFilter",
  group: networkingGroup,
  plural: "envoyfilters",
  shortNames: [],
  versions: ["v1alpha3"],
  description: "Changes the Envoy configuration that the mesh generates, for what its other kinds do not say.",
  spec: EnvoyFilterSpec,
  rules: [
    {
      rule: "!has(self.workloadSelector) || !has(self.targetRefs) || self.targetRefs.size() == 0",
      message: "only one of workloadSelector and targetRefs may be set",
    },
  ],
  printerColumns: [
    { name: "Priority", type: "integer", jsonPath: ".spec.priority", description: "Order of application" },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since creation" },
  ],
  check: checkEnvoyFilter,
});
