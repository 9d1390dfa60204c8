import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../api/meshconfig.js";
import type { MeshService, ServicePort } from "../model/service.js";
import {
  HeaderMatcherSchema,
  RetryPolicy_RetryHostPredicateSchema,
  RetryPolicySchema,
  type Route,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from "../proto/envoy/config/route/v3/route_components_pb.js";
import { type RouteConfiguration, RouteConfigurationSchema } from "../proto/envoy/config/route/v3/route_pb.js";
import { PreviousHostsPredicateSchema } from "../proto/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { outboundClusterName, passthroughCluster } from "./clusters.js";
import { packed } from "./encode.js";
import { unreachedHeader } from "./http.js";

const noTimeout = { seconds: 0n };

/** Istio's default, and the one case more in which the callee's proxy says that its application saw nothing. */
const defaultRetries = () =>
  create(RetryPolicySchema, {
    retryOn: "connect-failure,refused-stream,unavailable,cancelled,retriable-headers",
    numRetries: 2,
    hostSelectionRetryMaxAttempts: 5n,
    retryHostPredicate: [
      create(RetryPolicy_RetryHostPredicateSchema, {
        name: "envoy.retry_host_predicates.previous_hosts",
        configType: {
          case: "typedConfig",
          value: packed(PreviousHostsPredicateSchema, create(PreviousHostsPredicateSchema)),
        },
      }),
    ],
    retriableHeaders: [
      {
        name: unreachedHeader,
        headerMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "exact", value: "true" } } },
      },
    ],
  });

const toCluster = (cluster: string, retries: boolean, affinity = false): Route =>
  create(RouteSchema, {
    name: "default",
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: {
      case: "route",
      value: {
        clusterSpecifier: { case: "cluster", value: cluster },
        timeout: noTimeout,
        maxStreamDuration: { maxStreamDuration: noTimeout, grpcTimeoutHeaderMax: noTimeout },
        ...(retries ? { retryPolicy: defaultRetries() } : {}),
        ...(affinity
          ? { hashPolicy: [{ policySpecifier: { case: "connectionProperties" as const, value: { sourceIp: true } } }] }
          : {}),
      },
    },
  });

const outboundHost = (name: string, domains: readonly string[], route: Route): VirtualHost =>
  create(VirtualHostSchema, {
    name,
    domains: [...domains],
    routes: [route],
    includeRequestAttemptCount: true,
    responseHeadersToRemove: [unreachedHeader],
  });

const domainsOf = (service: MeshService, clientNamespace: string): readonly string[] => {
  const { host, name, namespace, addresses, isHeadless } = service;
  const names = [host, `${name}.${namespace}`, `${name}.${namespace}.svc`];
  if (namespace === clientNamespace) names.push(name);
  return [
    ...names,
    `${host}.`,
    ...addresses.map((address) => (address.includes(":") ? `[${address}]` : address)),
    ...(isHeadless ? names.map((domain) => `*.${domain}`) : []),
  ];
};

const unknownHosts = (mesh: MeshConfig): VirtualHost =>
  mesh.outboundTrafficPolicy === "ALLOW_ANY"
    ? outboundHost("allow_any", ["*"], toCluster(passthroughCluster, false))
    : create(VirtualHostSchema, {
        name: "block_all",
        domains: ["*"],
        routes: [
          create(RouteSchema, {
            name: "block_all",
            match: { pathSpecifier: { case: "prefix", value: "/" } },
            action: { case: "directResponse", value: { status: 502 } },
          }),
        ],
      });

export interface RoutedService {
  readonly service: MeshService;
  readonly port: ServicePort;
  /** The host whose cluster takes the traffic: the service's own, or the one that an ExternalName stands for. */
  readonly targetHost: string;
}

/** The route configuration `<port>` of all HTTP services on that port, as a client in `clientNamespace` names them. */
export const portRoutes = (
  port: number,
  routed: readonly RoutedService[],
  clientNamespace: string,
  mesh: MeshConfig,
): RouteConfiguration => {
  const taken = new Set<string>();
  const hosts = routed.flatMap(({ service, targetHost }) => {
    const domains = domainsOf(service, clientNamespace).filter((domain) => !taken.has(domain.toLowerCase()));
    for (const domain of domains) taken.add(domain.toLowerCase());
    if (domains.length === 0) return [];
    const cluster = outboundClusterName(targetHost, port);
    return [outboundHost(`${service.host}:${port}`, domains, toCluster(cluster, true, service.clientAffinity))];
  });
  return create(RouteConfigurationSchema, {
    name: String(port),
    virtualHosts: [...hosts, unknownHosts(mesh)],
    ignorePortInHostMatching: true,
    validateClusters: false,
  });
};

export const hostRouteName = (host: string, port: number): string => `${host}:${port}`;

/** Routes of one service on a port whose protocol is detected: its address alone has chosen it. */
export const hostRoutes = (service: MeshService, port: number): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name: hostRouteName(service.host, port),
    virtualHosts: [
      outboundHost(
        `${service.host}:${port}`,
        ["*"],
        toCluster(outboundClusterName(service.host, port), true, service.clientAffinity),
      ),
    ],
    validateClusters: false,
  });

/** To an original-destination cluster without retries: `PassthroughCluster` for outbound, the application for inbound. */
export const passthroughRoutes = (name: string, cluster: string): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name,
    virtualHosts: [outboundHost(name, ["*"], toCluster(cluster, false))],
    validateClusters: false,
  });

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
  const route = toCluster(cluster, false);
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

export const inboundRoutes = (name: string, port: number | undefined, cluster: string): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name,
    virtualHosts: [
      create(VirtualHostSchema, {
        name: `inbound|http|${port ?? 0}`,
        domains: ["*"],
        routes: inboundRetries.map((retries) => retried(cluster, retries)),
        // Only this proxy may say it; an application's own header would make callers try again.
        responseHeadersToRemove: [unreachedHeader],
      }),
    ],
    validateClusters: false,
  });
