import { create } from "@bufbuild/protobuf";
import {
  HeaderMatcherSchema,
  RetryPolicySchema,
  type Route,
  VirtualHostSchema,
} from "../../proto/envoy/config/route/v3/route_components_pb.js";
import { type RouteConfiguration, RouteConfigurationSchema } from "../../proto/envoy/config/route/v3/route_pb.js";
import { unreachedHeader } from "../http.js";
import { plainRoute } from "./plain.js";

const idempotent = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE";

/**
 * An application that is shutting down closes idle connections while requests for them are on their way. Those of
 * idempotent methods may be sent again (RFC 9110 9.2.2), others only if nothing of them was sent; if the application
 * takes no connection any more, the caller's proxy is told and goes elsewhere.
 */
const inboundRetries = [
  { match: idempotent, retryOn: "reset,connect-failure" },
  { match: undefined, retryOn: "reset-before-request,connect-failure" },
] as const;

const retried = (cluster: string, { match, retryOn }: (typeof inboundRetries)[number]): Route => {
  const route = plainRoute(cluster);
  if (route.action.case === "route")
    route.action.value.retryPolicy = create(RetryPolicySchema, { retryOn, numRetries: 2 });
  if (match !== undefined)
    route.match?.headers.push(
      create(HeaderMatcherSchema, {
        name: ":method",
        headerMatchSpecifier: {
          case: "stringMatch",
          value: { matchPattern: { case: "safeRegex", value: { regex: match } } },
        },
      }),
    );
  return route;
};

export const inboundRoutes = (name: string, port: number, cluster: string): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name,
    virtualHosts: [
      create(VirtualHostSchema, {
        name: `inbound|http|${port}`,
        domains: ["*"],
        routes: inboundRetries.map((retries) => retried(cluster, retries)),
        // Only this proxy may say it; an application's own header would make callers try again.
        responseHeadersToRemove: [unreachedHeader],
      }),
    ],
    validateClusters: false,
  });

/** To an original-destination cluster, as it came. */
export const passthroughRoutes = (name: string, cluster: string): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name,
    virtualHosts: [
      create(VirtualHostSchema, {
        name,
        domains: ["*"],
        routes: [plainRoute(cluster)],
        includeRequestAttemptCount: true,
        responseHeadersToRemove: [unreachedHeader],
      }),
    ],
    validateClusters: false,
  });
