import { defineKind } from "../kind.js";
import { networkingGroup, networkingVersions } from "./group.js";
import { checkVirtualService } from "./virtual-service-check.js";
import { virtualServiceSpec } from "./virtual-service-spec.js";

export type { Destination, Percent, StringMatch } from "./virtual-service-common.js";
export type {
  HttpMatchRequest,
  HttpMirrorPolicy,
  HttpRoute,
  HttpRouteDestination,
} from "./virtual-service-http.js";
export type {
  L4MatchAttributes,
  RouteDestination,
  TcpRoute,
  TlsMatchAttributes,
  TlsRoute,
} from "./virtual-service-l4.js";
export type {
  CorsPolicy,
  HeaderOperations,
  Headers,
  HttpDirectResponse,
  HttpFaultInjection,
  HttpRedirect,
  HttpRetry,
  HttpRewrite,
} from "./virtual-service-policy.js";
export type { VirtualService, VirtualServiceSpec } from "./virtual-service-spec.js";

export const virtualService = defineKind({
  kind: "VirtualService",
  group: networkingGroup,
  plural: "virtualservices",
  shortNames: ["vs"],
  versions: networkingVersions,
  description: "How requests to a host are routed: matches, shares, rewrites, timeouts, retries, faults.",
  spec: virtualServiceSpec,
  rules: [
    {
      rule: "(has(self.http) && size(self.http) > 0) || (has(self.tls) && size(self.tls) > 0) || (has(self.tcp) && size(self.tcp) > 0)",
      message: "one of http, tls, tcp must hold a rule",
    },
    {
      rule: "(has(self.hosts) && size(self.hosts) > 0) || !((has(self.gateways) && size(self.gateways) > 0) || (has(self.tls) && size(self.tls) > 0) || (has(self.tcp) && size(self.tcp) > 0))",
      message: "without hosts (a delegate) there may be no gateways, tls or tcp",
    },
  ],
  printerColumns: [
    {
      name: "Gateways",
      type: "string",
      jsonPath: ".spec.gateways",
      description: "Gateways and sidecars that apply the rules",
    },
    { name: "Hosts", type: "string", jsonPath: ".spec.hosts", description: "Hosts that the rules are for" },
    {
      name: "Age",
      type: "date",
      jsonPath: ".metadata.creationTimestamp",
      description: "Time since the resource was made",
    },
  ],
  check: checkVirtualService,
});
