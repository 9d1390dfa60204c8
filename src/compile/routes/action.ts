import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { HttpRewrite } from "../../api/networking/virtual-service.js";
import type { Destination, HttpRule, Retries, WeightedDestination } from "../../model/virtual-service-rules.js";
import {
  RouteAction_HashPolicySchema,
  type RouteActionSchema,
  type WeightedCluster_ClusterWeightSchema,
} from "../../proto/envoy/config/route/v3/route_components_pb.js";
import { durationOf } from "../duration.js";
import type { Init } from "../init.js";
import { fractionOf } from "./fraction.js";
import { authorityOf, type HeaderChanges, headerChanges } from "./header-operations.js";
import { retryPolicy } from "./retries.js";

type HashPolicy = MessageInitShape<typeof RouteAction_HashPolicySchema>;
type RouteAction = Init<typeof RouteActionSchema>;

export interface ActionContext {
  readonly clusterOf: (destination: Destination) => string;
  /** What of a request chooses the host, from the destination's DestinationRule. */
  readonly hashPolicyOf: (destination: Destination) => readonly HashPolicy[];
  /** For rules that do not say; undefined for the mesh's own. */
  readonly defaultRetries: Retries | undefined;
}

/**
 * Beside a stream duration Envoy forgets the timeout, and the host would not be blamed for it. So a gRPC client's own
 * deadline is looked at only where there is no timeout; where there is one, that holds for gRPC too.
 */
const timeouts = (milliseconds: number) => ({
  timeout: durationOf(milliseconds),
  ...(milliseconds > 0
    ? {}
    : { maxStreamDuration: { maxStreamDuration: durationOf(0), grpcTimeoutHeaderMax: durationOf(0) } }),
});

const rewriteOf = (rewrite: HttpRewrite | undefined): RouteAction => {
  if (rewrite?.uriRegexRewrite?.match)
    return {
      regexRewrite: {
        pattern: { regex: rewrite.uriRegexRewrite.match },
        substitution: rewrite.uriRegexRewrite.rewrite ?? "",
      },
    };
  return rewrite?.uri ? { prefixRewrite: rewrite.uri } : {};
};

const hostRewrite = (authority: string | undefined) =>
  authority ? { hostRewriteSpecifier: { case: "hostRewriteLiteral" as const, value: authority } } : {};

const distinct = (policies: readonly HashPolicy[]) => {
  const seen = new Map(
    policies.map((policy) => {
      const message = create(RouteAction_HashPolicySchema, policy);
      return [Buffer.from(toBinary(RouteAction_HashPolicySchema, message)).toString("base64"), message];
    }),
  );
  return [...seen.values()];
};

/** What goes to one cluster or, by share, to several; with the changes of headers at the place that Envoy wants them. */
const toDestinations = (
  rule: Pick<HttpRule, "headers">,
  destinations: readonly WeightedDestination[],
  authority: string | undefined,
  context: ActionContext,
): { readonly action: RouteAction; readonly changes: HeaderChanges } => {
  const [only] = destinations;
  if (destinations.length === 1 && only !== undefined)
    return {
      action: {
        clusterSpecifier: { case: "cluster", value: context.clusterOf(only.destination) },
        ...hostRewrite(authority ?? authorityOf(only.headers)),
      },
      changes: headerChanges([rule.headers, only.headers]),
    };
  // Envoy makes a cluster's changes before the route's: where there are any, both go there, in Istio's order.
  const isChanged = destinations.some(({ headers }) => headers !== undefined);
  const clusters = destinations.map(
    ({ destination, weight, headers }): Init<typeof WeightedCluster_ClusterWeightSchema> => ({
      name: context.clusterOf(destination),
      weight,
      ...(isChanged ? headerChanges([rule.headers, headers]) : {}),
      ...hostRewrite(authorityOf(headers)),
    }),
  );
  return {
    action: { clusterSpecifier: { case: "weightedClusters", value: { clusters } }, ...hostRewrite(authority) },
    changes: headerChanges(isChanged ? [] : [rule.headers]),
  };
};

/** Destinations that take anything: a single one always does. */
export const effectiveDestinations = <Item extends { readonly weight: number }>(
  destinations: readonly Item[],
): readonly Item[] => (destinations.length === 1 ? destinations : destinations.filter(({ weight }) => weight > 0));

/** Undefined if no destination takes anything. */
export const routeAction = (
  rule: Pick<HttpRule, "route" | "rewrite" | "timeoutMilliseconds" | "retries" | "mirrors" | "headers">,
  context: ActionContext,
): { readonly action: RouteAction; readonly changes: HeaderChanges } | undefined => {
  const destinations = effectiveDestinations(rule.route);
  if (destinations.length === 0) return undefined;
  const authority = rule.rewrite?.authority || authorityOf(rule.headers);
  const { action, changes } = toDestinations(rule, destinations, authority, context);
  const hashPolicy = distinct(destinations.flatMap(({ destination }) => context.hashPolicyOf(destination)));
  const retries = retryPolicy(rule.retries ?? context.defaultRetries, hashPolicy.length > 0);
  return {
    action: {
      ...action,
      ...rewriteOf(rule.rewrite),
      ...timeouts(rule.timeoutMilliseconds ?? 0),
      ...(retries === undefined ? {} : { retryPolicy: retries }),
      hashPolicy,
      requestMirrorPolicies: (rule.mirrors ?? [])
        .filter(({ percentage }) => percentage > 0)
        .map(({ destination, percentage }) => ({
          cluster: context.clusterOf(destination),
          runtimeFraction: { defaultValue: fractionOf(percentage) },
          traceSampled: false,
        })),
    },
    changes,
  };
};
