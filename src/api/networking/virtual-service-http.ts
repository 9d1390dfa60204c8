import { type Static, Type } from "typebox";
import { durationField } from "./duration-field.js";
import {
  atMostOne,
  destination,
  matchGateways,
  message,
  percent,
  port,
  sourceLabels,
  sourceNamespace,
  stringMatch,
  stringMatches,
  weight,
} from "./virtual-service-common.js";
import { corsPolicy, directResponse, fault, headers, redirect, retries, rewrite } from "./virtual-service-policy.js";

const httpMatchRequest = message(
  {
    name: Type.Optional(Type.String({ description: "Name of the match, added to the route's own for access logs." })),
    uri: Type.Optional(
      stringMatch("Path and query of the request. A prefix is one of text: `/foo` is the beginning of `/foobar` too."),
    ),
    scheme: Type.Optional(stringMatch("Scheme of the URI.")),
    method: Type.Optional(stringMatch("HTTP method.")),
    authority: Type.Optional(stringMatch("Authority (Host), the port included where the caller gives it.")),
    headers: Type.Optional(
      stringMatches(
        "Headers by name, all of which must match. An empty value, or the regex `*`, asks for presence alone. Through gateways also claims of a JSON Web Token, as `@request.auth.claims.NAME`.",
      ),
    ),
    port: port(),
    sourceLabels: sourceLabels(),
    gateways: matchGateways(),
    queryParams: Type.Optional(stringMatches("Query parameters by name, all of which must match.")),
    ignoreUriCase: Type.Optional(
      Type.Boolean({ description: "Compare `uri` without regard to letter case, if it is `exact` or `prefix`." }),
    ),
    withoutHeaders: Type.Optional(stringMatches("Headers by name, none of which may match; a missing one does not.")),
    sourceNamespace: sourceNamespace(),
    statPrefix: Type.Optional(Type.String({ description: "Prefix of statistics that the proxy keeps of this route." })),
  },
  "Conditions that must all hold.",
);

const httpRouteDestination = message(
  {
    destination: destination("Where the request goes."),
    weight: weight(),
    headers: Type.Optional(headers("Changes to headers of what goes to and comes from this destination.")),
  },
  "A destination and its share.",
);

const mirrorPolicy = message(
  {
    destination: destination("Where the copy goes."),
    percentage: Type.Optional(percent("Share of the requests to copy; all if unset.")),
  },
  "A destination of copies.",
);

const exclusive = (name: string) =>
  `(has(self.${name})${name === "route" ? ` && size(self.${name}) > 0` : ""} ? 1 : 0)`;

export const httpRoute = message(
  {
    name: Type.Optional(Type.String({ description: "Name of the route, for access logs and statistics." })),
    match: Type.Optional(
      Type.Array(httpMatchRequest, {
        description: "The rule takes a request for which any of these holds; every request if there is none.",
      }),
    ),
    route: Type.Optional(
      Type.Array(httpRouteDestination, { description: "Where the requests go, by share if there are several." }),
    ),
    redirect: Type.Optional(redirect),
    directResponse: Type.Optional(directResponse),
    delegate: Type.Optional(
      message(
        {
          name: Type.Optional(Type.String({ description: "Name of the VirtualService." })),
          namespace: Type.Optional(Type.String({ description: "Its namespace; that of this resource if unset." })),
        },
        "A VirtualService without hosts whose HTTP rules take this rule's place. It may not delegate in turn.",
      ),
    ),
    rewrite: Type.Optional(rewrite),
    timeout: Type.Optional(
      durationField("Time for the whole request, all retries included; none if unset or 0.", { zero: true }),
    ),
    retries: Type.Optional(retries),
    fault: Type.Optional(fault),
    mirror: Type.Optional(destination("Where copies of the requests go; their responses are thrown away.")),
    mirrors: Type.Optional(Type.Array(mirrorPolicy, { description: "Several destinations of copies." })),
    mirrorPercent: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, description: "Deprecated: use `mirrorPercentage`." }),
    ),
    mirror_percent: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 100, description: "Deprecated: use `mirrorPercentage`." }),
    ),
    mirrorPercentage: Type.Optional(percent("Share of the requests to copy to `mirror`; all if unset.")),
    corsPolicy: Type.Optional(corsPolicy),
    headers: Type.Optional(headers("Changes to headers, made before those of the destination.")),
  },
  "A rule for HTTP requests.",
  {
    "x-kubernetes-validations": [
      {
        rule: `${["route", "redirect", "directResponse", "delegate"].map(exclusive).join(" + ")} == 1`,
        message: "exactly one of route, redirect, directResponse, delegate must be set",
      },
      ...atMostOne(["mirror", "mirrors"])["x-kubernetes-validations"],
    ],
  },
);

export type HttpRoute = Static<typeof httpRoute>;
export type HttpMatchRequest = Static<typeof httpMatchRequest>;
export type HttpRouteDestination = Static<typeof httpRouteDestination>;
export type HttpMirrorPolicy = Static<typeof mirrorPolicy>;
