import { defineKind } from "../kind.js";
import { checkAuthorizationPolicy } from "./authorization-policy-check.js";
import { spec } from "./authorization-policy-spec.js";
import { closedPolicy } from "./closed-policy.js";
import { securityGroup, securityVersions } from "./group.js";
import { oneAttachment } from "./target-refs.js";

export const authorizationPolicy = defineKind({
  kind: "AuthorizationPolicy",
  group: securityGroup,
  plural: "authorizationpolicies",
  shortNames: ["ap"],
  versions: securityVersions,
  description:
    "Who may call what. Of all policies that select a workload CUSTOM is asked first, then DENY, then ALLOW; without an ALLOW policy everything else is allowed.",
  spec,
  rules: [
    {
      rule: "(has(self.action) && self.action == 'CUSTOM') == has(self.provider)",
      message: "provider goes with the action CUSTOM, which needs one",
    },
    oneAttachment,
  ],
  printerColumns: [
    {
      name: "Action",
      type: "string",
      jsonPath: ".spec.action",
      description: "What is done with requests that match; ALLOW if unset",
    },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since it was created" },
  ],
  check: checkAuthorizationPolicy,
  closed: closedPolicy,
});
