import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { HttpRetry } from "../../api/networking/virtual-service.js";
import type { ResolvedVirtualService } from "../../model/virtual-service.js";
import { type Destination, type HttpMatch, type HttpRule, retriesOf } from "../../model/virtual-service-rules.js";
import {
  type Route,
  type RouteAction_HashPolicySchema,
  RouteSchema,
} from "../../proto/envoy/config/route/v3/route_components_pb.js";
import type { Init } from "../init.js";
import { routeAction } from "./action.js";
import { perFilterConfig } from "./filters.js";
import { headerChanges } from "./header-operations.js";
import { isCatchAll, isHttpForProxy, type MatchContext, routeMatch } from "./match.js";
import { directResponseAction, redirectAction } from "./responses.js";

export { isCatchAll } from "./match.js";
export { maxDirectResponseBodyBytes } from "./responses.js";

export interface RouteContext extends MatchContext {
  readonly mesh: MeshConfig & { readonly defaultHttpRetryPolicy?: HttpRetry | undefined };
  /** The cluster of a destination; a host or subset that nobody knows has a name too. */
  readonly clusterOf: (destination: Destination) => string;
  /** What of a request chooses the host, from the destination's DestinationRule. */
  readonly hashPolicyOf: (destination: Destination) => readonly MessageInitShape<typeof RouteAction_HashPolicySchema>[];
}

type Action = Init<typeof RouteSchema>;

const actionContext = ({
  mesh,
  clusterOf,
  hashPolicyOf,
}: Pick<RouteContext, "mesh" | "clusterOf" | "hashPolicyOf">) => ({
  clusterOf,
  hashPolicyOf,
  defaultRetries: mesh.defaultHttpRetryPolicy === undefined ? undefined : retriesOf(mesh.defaultHttpRetryPolicy),
});

const actionOf = (rule: HttpRule, context: RouteContext): Action => {
  if (rule.redirect !== undefined)
    return {
      action: { case: "redirect", value: redirectAction(rule.redirect, context.port) },
      ...headerChanges([rule.headers]),
    };
  if (rule.directResponse !== undefined)
    return {
      action: { case: "directResponse", value: directResponseAction(rule.directResponse) },
      ...headerChanges([rule.headers]),
    };
  const routed = routeAction(rule, actionContext(context));
  return routed === undefined
    ? { action: { case: "directResponse", value: { status: 503 } } }
    : { action: { case: "route", value: routed.action }, ...routed.changes };
};

/** Where tools find the resource that a route comes from. */
export const sourceMetadata = ({ namespace, name }: Pick<ResolvedVirtualService, "namespace" | "name">) => ({
  filterMetadata: {
    istio: { config: `/apis/networking.istio.io/v1/namespaces/${namespace}/virtual-service/${name}` },
  },
});

/**
 * The routes of one VirtualService for one proxy, in order, up to the first that takes every request. None if nothing of
 * it is for this proxy and port.
 */
export const httpRoutes = (rule: ResolvedVirtualService, context: RouteContext): readonly Route[] => {
  if (!rule.gateways.some((gateway) => context.gateways.has(gateway))) return [];
  const metadata = sourceMetadata(rule);
  const routes: Route[] = [];
  for (const http of rule.http) {
    const action = actionOf(http, context);
    const typedPerFilterConfig = perFilterConfig(http);
    const matches: readonly (HttpMatch | undefined)[] = http.match.length === 0 ? [undefined] : http.match;
    for (const match of matches) {
      if (match !== undefined && !isHttpForProxy(match, context)) continue;
      routes.push(
        create(RouteSchema, {
          ...action,
          name: [http.name, match?.name].filter((name) => name !== undefined && name !== "").join("."),
          match: routeMatch(match),
          metadata,
          typedPerFilterConfig,
          statPrefix: match?.statPrefix ?? "",
        }),
      );
      if (match === undefined || isCatchAll(match)) return routes;
    }
  }
  return routes;
};

/** Everything to one destination, as it is without a VirtualService: the mesh's retries and no timeout. */
export const defaultRoute = (
  destination: Destination,
  context: Pick<RouteContext, "mesh" | "clusterOf" | "hashPolicyOf">,
): Route => {
  const routed = routeAction(
    {
      route: [{ destination, weight: 1, headers: undefined }],
      rewrite: undefined,
      timeoutMilliseconds: undefined,
      retries: undefined,
      mirrors: undefined,
      headers: undefined,
    },
    actionContext(context),
  );
  return create(RouteSchema, {
    name: "default",
    match: routeMatch(undefined),
    ...(routed === undefined ? {} : { action: { case: "route", value: routed.action } }),
  });
};
