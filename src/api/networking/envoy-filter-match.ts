import { type Static, Type } from "typebox";

const closed = { additionalProperties: false } as const;
const text = (description: string) => Type.Optional(Type.String({ maxLength: 1024, description }));
const port = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 65535, description }));

export const ProxyMatch = Type.Object(
  {
    proxyVersion: text("A regular expression that the version of the proxy (ISTIO_VERSION of its node) must contain."),
    metadata: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        maxProperties: 64,
        description: "Texts in the proxy's node metadata, all of which must be there with exactly these values.",
      }),
    ),
  },
  { ...closed, description: "The proxies that the patch is for; all that the filter selects, if unset." },
);
export type ProxyMatch = Static<typeof ProxyMatch>;

const FilterMatch = Type.Object(
  {
    name: text("Name of a network filter, canonical (envoy.filters.network.tcp_proxy) or as Envoy named it before."),
    subFilter: Type.Optional(
      Type.Object(
        { name: text("Name of an HTTP filter, canonical or as Envoy named it before.") },
        { ...closed, description: "A filter within this one: an HTTP filter of the HTTP connection manager." },
      ),
    ),
  },
  { ...closed, description: "One filter of the chain: the anchor of the INSERT operations, else what is changed." },
);

const FilterChainMatch = Type.Object(
  {
    name: text("Name of the filter chain."),
    sni: text("One of the server names that the chain matches."),
    transportProtocol: text("Transport protocol that the chain matches: raw_buffer or tls."),
    applicationProtocols: text("Application protocols, divided by commas, all of which the chain must match."),
    destinationPort: port("Destination port that the chain matches."),
    filter: Type.Optional(FilterMatch),
  },
  { ...closed, description: "The filter chains that the patch is for; all, if unset." },
);
export type FilterChainMatch = Static<typeof FilterChainMatch>;

export const ListenerMatch = Type.Object(
  {
    portNumber: port(
      "Port of the listener; within virtualInbound and virtualOutbound the destination port of a filter chain.",
    ),
    portName: text("Deprecated and without effect: use portNumber or name."),
    name: text("Exact name of the listener."),
    listenerFilter: text("Name of a listener filter, for applyTo LISTENER_FILTER."),
    filterChain: Type.Optional(FilterChainMatch),
  },
  { ...closed, description: "The listeners that the patch is for, and what in them." },
);
export type ListenerMatch = Static<typeof ListenerMatch>;

const RouteMatch = Type.Object(
  {
    name: text("Name of the route: that of the VirtualService's route, else `default`."),
    action: Type.Optional(
      Type.Enum(["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"], { description: "What the route does; ANY if unset." }),
    ),
  },
  { ...closed, description: "The routes that the patch is for; all of the virtual host, if unset." },
);
export type RouteMatch = Static<typeof RouteMatch>;

export const RouteConfigurationMatch = Type.Object(
  {
    portNumber: port("Port of the service, of the inbound application or of the gateway's server."),
    portName: text("Name of the gateway server's port; for gateways only."),
    gateway: text("namespace/name of the Gateway; for gateways only."),
    name: text("Exact name of the route configuration."),
    vhost: Type.Optional(
      Type.Object(
        {
          name: text("Name of the virtual host: `host:port`, inbound `inbound|http|port`."),
          domainName: text("One of the virtual host's domains."),
          route: Type.Optional(RouteMatch),
        },
        { ...closed, description: "The virtual hosts that the patch is for; all, if unset." },
      ),
    ),
  },
  { ...closed, description: "The route configurations that the patch is for, and what in them." },
);
export type RouteConfigurationMatch = Static<typeof RouteConfigurationMatch>;

export const ClusterMatch = Type.Object(
  {
    portNumber: port("Port of the service; of an inbound cluster that of the application."),
    service: text("Fully qualified host of the service."),
    subset: text("Subset of the service."),
    name: text("Exact name of the cluster; the other fields count for nothing then."),
  },
  { ...closed, description: "The clusters that the patch is for." },
);
export type ClusterMatch = Static<typeof ClusterMatch>;

export const patchContexts = ["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"] as const;

export const EnvoyConfigObjectMatch = Type.Object(
  {
    context: Type.Optional(
      Type.Enum([...patchContexts], { description: "Direction of the traffic and class of the proxy; ANY if unset." }),
    ),
    proxy: Type.Optional(ProxyMatch),
    listener: Type.Optional(ListenerMatch),
    routeConfiguration: Type.Optional(RouteConfigurationMatch),
    cluster: Type.Optional(ClusterMatch),
  },
  { ...closed, description: "What the patch is for: at most one of listener, routeConfiguration and cluster." },
);
export type EnvoyConfigObjectMatch = Static<typeof EnvoyConfigObjectMatch>;
