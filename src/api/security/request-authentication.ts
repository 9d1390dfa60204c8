import { defineKind } from "../kind.js";
import { closedRequestAuthentication } from "./closed-request-authentication.js";
import { securityGroup, securityVersions } from "./group.js";
import { checkRequestAuthentication } from "./request-authentication-check.js";
import { RequestAuthenticationSpec } from "./request-authentication-schema.js";
import { oneAttachment } from "./target-refs.js";

export const requestAuthentication = defineKind({
  kind: "RequestAuthentication",
  group: securityGroup,
  plural: "requestauthentications",
  shortNames: ["ra"],
  versions: securityVersions,
  description:
    "Whose JSON Web Tokens workloads take. A bad token is answered 401; a request without one passes, without an identity that an AuthorizationPolicy could allow.",
  spec: RequestAuthenticationSpec,
  rules: [oneAttachment],
  printerColumns: [
    {
      name: "Issuers",
      type: "string",
      jsonPath: ".spec.jwtRules[*].issuer",
      description: "Whose tokens are taken",
    },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since it was created" },
  ],
  check: checkRequestAuthentication,
  closed: closedRequestAuthentication,
});
