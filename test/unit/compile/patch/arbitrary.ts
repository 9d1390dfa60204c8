import fc from "fast-check";
import type { ApplyTo, EnvoyFilter } from "../../../../src/api/networking/envoy-filter.js";
import { operationsOf } from "../../../../src/api/networking/envoy-filter-check.js";
import { applyTos, operations } from "../../../../src/api/networking/envoy-filter-spec.js";

const any = (type: string, fields: object = {}): object => ({ "@type": `type.googleapis.com/${type}`, ...fields });
const lua = any("envoy.extensions.filters.http.lua.v3.Lua");
const router = any("envoy.extensions.filters.http.router.v3.Router");
const tcp = any("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", { stat_prefix: "a", cluster: "b" });
const hcm = any("envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
  max_request_headers_kb: 96,
});

const inspector = any("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector");
const rbac = any("envoy.extensions.filters.network.rbac.v3.RBAC", { stat_prefix: "a" });
const echo = any("envoy.extensions.filters.network.echo.v3.Echo");
const upstreamTls = any("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", { max_session_keys: 0 });
const answer = { match: { prefix: "/" }, direct_response: { status: 200 } };
const network = (typed_config: object): object => ({ name: "envoy.filters.network.other", typed_config });

/** Values that fit what they are for, some of which cannot be where they are put. */
const fitting: Readonly<Partial<Record<ApplyTo, readonly object[]>>> = {
  LISTENER: [
    { per_connection_buffer_limit_bytes: 1 },
    { name: "0.0.0.0_80", tcp_backlog_size: 3 },
    {
      name: "own",
      address: { socket_address: { address: "127.0.0.1", port_value: 15098 } },
      filter_chains: [{ filters: [network(echo)] }],
    },
    { filter_chains: [{ filters: [network(echo)] }] },
  ],
  LISTENER_FILTER: [{ name: "envoy.filters.listener.tls_inspector", typed_config: inspector }],
  FILTER_CHAIN: [
    { filter_chain_match: { destination_port: 8080 }, filters: [network(echo)] },
    { filter_chain_match: { destination_port: 4444 }, filters: [network(echo)] },
    { filter_chain_match: { server_names: ["a.example"] } },
    { transport_socket_connect_timeout: "2s" },
    { filters: [network(rbac)] },
  ],
  NETWORK_FILTER: [
    network(rbac),
    network(echo),
    network(tcp),
    network(hcm),
    { name: "envoy.filters.network.tcp_proxy" },
  ],
  HTTP_FILTER: [
    { name: "envoy.filters.http.lua", typed_config: lua },
    { name: "envoy.filters.http.router", typed_config: router },
    { name: "off", typed_config: lua, disabled: true },
  ],
  ROUTE_CONFIGURATION: [
    { request_headers_to_remove: ["x-a"] },
    { virtual_hosts: [{ name: "own", domains: ["own.example"], routes: [answer] }] },
    { virtual_hosts: [{ name: "own", domains: ["*"], routes: [answer] }] },
  ],
  VIRTUAL_HOST: [
    { name: "own", domains: ["own.example"], routes: [answer] },
    { name: "star", domains: ["*"], routes: [answer] },
    { require_tls: "ALL" },
    { domains: ["more.example"] },
  ],
  HTTP_ROUTE: [answer, { route: { timeout: "3s" } }, { redirect: { host_redirect: "a" } }, { match: { path: "/a" } }],
  CLUSTER: [
    { connect_timeout: "1s" },
    { name: "own", type: "STRICT_DNS" },
    { name: "own", lb_policy: "RING_HASH" },
    { lb_policy: "RING_HASH" },
    { lb_policy: "CLUSTER_PROVIDED" },
    { type: "STATIC" },
    { type: "ORIGINAL_DST" },
    { load_assignment: { cluster_name: "a" } },
    { transport_socket: { name: "envoy.transport_sockets.tls", typed_config: upstreamTls } },
    { transport_socket: { name: "envoy.transport_sockets.other", typed_config: upstreamTls } },
    {
      transport_socket_matches: [{ name: "a", match: {}, transport_socket: { name: "b", typed_config: upstreamTls } }],
    },
  ],
  EXTENSION_CONFIG: [{ name: "e", typed_config: lua }],
};
const values = fc.oneof(
  fc.constantFrom(...(Object.values(fitting).flat() as readonly Record<string, unknown>[])),
  fc.dictionary(fc.string(), fc.jsonValue()),
);
const names = fc.constantFrom(
  ...["virtualInbound", "0.0.0.0_80", "80", "envoy.filters.http.router", "envoy.router", "envoy.tcp_proxy", "none", ""],
  "envoy.filters.network.http_connection_manager",
);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const ports = fc.constantFrom(0, 80, 8080, 9090, 1);

const match = fc.record(
  {
    context: fc.constantFrom("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"),
    proxy: maybe(fc.record({ proxyVersion: fc.constantFrom("", "1", "(", "^1\\.2") })),
    listener: maybe(
      fc.record(
        {
          portNumber: ports,
          name: names,
          listenerFilter: names,
          filterChain: fc.record(
            {
              destinationPort: ports,
              filter: fc.record({ name: names, subFilter: maybe(fc.record({ name: names })) }),
            },
            { requiredKeys: [] },
          ),
        },
        { requiredKeys: [] },
      ),
    ),
    routeConfiguration: maybe(
      fc.record(
        {
          portNumber: ports,
          name: names,
          vhost: fc.record(
            { name: names, route: fc.record({ name: names, action: fc.constantFrom("ANY", "ROUTE", "REDIRECT") }) },
            { requiredKeys: [] },
          ),
        },
        { requiredKeys: [] },
      ),
    ),
    cluster: maybe(fc.record({ portNumber: ports, name: names, subset: names }, { requiredKeys: [] })),
  },
  { requiredKeys: [] },
);

const wild = fc.record(
  {
    applyTo: fc.constantFrom(...applyTos),
    match,
    patch: fc.record({ operation: fc.constantFrom(...operations), value: values }, { requiredKeys: ["operation"] }),
  },
  { requiredKeys: ["applyTo", "patch"] },
);
const objectMatch = (applyTo: ApplyTo): string =>
  applyTo === "CLUSTER" ? "cluster" : /ROUTE|HOST/.test(applyTo) ? "routeConfiguration" : "listener";
/** With an operation, a value and a match that fit `applyTo`. */
const likely = fc.constantFrom(...applyTos.filter((applyTo) => fitting[applyTo] !== undefined)).chain((applyTo) =>
  fc
    .tuple(match, fc.constantFrom(...operationsOf[applyTo]), fc.constantFrom(...fitting[applyTo]!), fc.boolean())
    .map(([wanted, operation, value, isMatched]) => ({
      applyTo,
      match: isMatched
        ? { [objectMatch(applyTo)]: (wanted as Readonly<Record<string, unknown>>)[objectMatch(applyTo)] ?? {} }
        : {},
      patch: { operation, ...(operation === "REMOVE" ? {} : { value }) },
    })),
);
const patch = fc.oneof({ arbitrary: wild, weight: 1 }, { arbitrary: likely, weight: 3 });
/** Filters of any sort: many that fit, some that fit nothing, some that nobody would write. */
export const filters: fc.Arbitrary<readonly EnvoyFilter[]> = fc.array(
  fc.record({
    metadata: fc.record({ name: fc.constantFrom("a", "b", "c"), namespace: fc.constant("shop") }),
    spec: fc.record({ configPatches: fc.array(patch, { maxLength: 6 }) }),
  }) as unknown as fc.Arbitrary<EnvoyFilter>,
  { maxLength: 4 },
);
