import { defineKind } from "../kind.js";
import { checkDestinationRule } from "./destination-rule-check.js";
import { destinationRuleSchema } from "./destination-rule-spec.js";
import { networkingGroup, networkingVersions } from "./group.js";

export {
  type DestinationRule,
  type DestinationRuleSpec,
  destinationRuleSchema,
  type Subset,
} from "./destination-rule-spec.js";
export type { TrafficPolicy } from "./traffic-policy.js";

export const destinationRule = defineKind({
  kind: "DestinationRule",
  group: networkingGroup,
  plural: "destinationrules",
  shortNames: ["dr"],
  versions: networkingVersions,
  description: "How clients treat the traffic to one service, after it has been routed there.",
  spec: destinationRuleSchema,
  rules: [
    {
      rule: "!has(self.exportTo) || self.exportTo.size() <= 1 || !self.exportTo.exists(target, target == '*')",
      message: "exportTo: `*` stands alone",
    },
  ],
  printerColumns: [
    { name: "Host", type: "string", jsonPath: ".spec.host", description: "Service that the rule is about" },
    {
      name: "Age",
      type: "date",
      jsonPath: ".metadata.creationTimestamp",
      description: "Time since it was created",
    },
  ],
  check: checkDestinationRule,
});
