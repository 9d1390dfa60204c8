import { toBinary, toJson } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshTls } from "../../../../src/api/meshconfig-tls.js";
import type { EnvoyFilter } from "../../../../src/api/networking/envoy-filter.js";
import { addedClusters, addedListeners, extensionConfigs } from "../../../../src/compile/patch/additions.js";
import { patchCluster } from "../../../../src/compile/patch/clusters.js";
import { patchListener } from "../../../../src/compile/patch/listener.js";
import type { PatchContext } from "../../../../src/compile/patch/match.js";
import { compilePatches, findingsOf } from "../../../../src/compile/patch/patches.js";
import { createPatchReport, reportedFindings } from "../../../../src/compile/patch/report.js";
import { patchRouteConfiguration } from "../../../../src/compile/patch/routes.js";
import { envoyTypes } from "../../../../src/compile/patch/types.js";
import { type Cluster, ClusterSchema } from "../../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import { type Listener, ListenerSchema } from "../../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../../../src/proto/envoy/config/route/v3/route_pb.js";
import {
  applicationCluster,
  configJson,
  contextOf,
  filterNames,
  filterOf,
  httpListener,
  inbound,
  inboundListener,
  managersOf,
  outbound,
  outboundListeners,
  outboundRoutes,
  reviewsCluster,
} from "./support.js";

interface Outcome<T> {
  readonly after: T;
  /** `severity message` of what compiling and applying have shown. */
  readonly told: readonly string[];
}

const setOf = (filters: readonly EnvoyFilter[]) => {
  const set = compilePatches(filters);
  const report = createPatchReport();
  const told = () =>
    [...findingsOf(set), ...reportedFindings(set, report)].map(
      ({ finding }) => `${finding.severity} ${finding.path}: ${finding.message}`,
    );
  return { set, report, told };
};

const listenerAfter = (
  patches: string,
  listener: Listener = inboundListener(),
  context: PatchContext = inbound,
): Outcome<Listener | undefined> => {
  const { set, report, told } = setOf([filterOf(patches)]);
  const after = patchListener(set, context, listener, report);
  if (after !== undefined) toBinary(ListenerSchema, after);
  return { after, told: told() };
};
const routesAfter = (patches: string): Outcome<RouteConfiguration> => {
  const { set, report, told } = setOf([filterOf(patches)]);
  const after = patchRouteConfiguration(set, outbound, outboundRoutes(), report);
  toBinary(RouteConfigurationSchema, after);
  return { after, told: told() };
};
const clusterAfter = (
  patches: string,
  cluster: Cluster = reviewsCluster(),
  context: PatchContext = outbound,
  services: readonly string[] = [],
): Outcome<Cluster | undefined> => {
  const { set, report, told } = setOf([filterOf(patches)]);
  const after = patchCluster(set, context, cluster, services, report);
  if (after !== undefined) toBinary(ClusterSchema, after);
  return { after, told: told() };
};

const hcm = "envoy.filters.network.http_connection_manager";
const subFilter = (name: string) => `listener: {filterChain: {filter: {name: ${hcm}, subFilter: {name: ${name}}}}}`;
const lua = `
    value:
      name: envoy.filters.http.lua
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua
        default_source_code: {inline_string: "function envoy_on_request(handle) end"}`;
const httpFilter = (operation: string, match: string, value = lua): string => `
- applyTo: HTTP_FILTER
  match: {context: SIDECAR_INBOUND, ${match}}
  patch:
    operation: ${operation}${operation === "REMOVE" ? "" : value}`;

const inboundHttp = "0.0.0.0_8080-http";
const inboundFilters = (patches: string): readonly (readonly string[])[] => {
  const { after, told } = listenerAfter(patches);
  assert.equal(told, []);
  const managers = managersOf(after!);
  assert.ok(Object.keys(managers).length >= 5);
  return Object.values(managers).map(filterNames);
};

const orders: readonly (readonly [string, string, readonly string[]])[] = [
  ["INSERT_BEFORE the router", httpFilter("INSERT_BEFORE", subFilter("envoy.filters.http.router")), ["lua", "router"]],
  ["INSERT_BEFORE by the old name", httpFilter("INSERT_BEFORE", subFilter("envoy.router")), ["lua", "router"]],
  ["INSERT_BEFORE without an anchor", httpFilter("INSERT_BEFORE", "listener: {}"), ["lua", "router"]],
  ["INSERT_FIRST", httpFilter("INSERT_FIRST", subFilter("envoy.filters.http.router")), ["lua", "router"]],
  ["INSERT_AFTER without an anchor", httpFilter("INSERT_AFTER", "listener: {}"), ["lua", "router"]],
  ["ADD goes before the router", httpFilter("ADD", "listener: {}"), ["lua", "router"]],
  [
    "INSERT_AFTER what an earlier patch has put there",
    httpFilter("ADD", "listener: {}") +
      httpFilter("INSERT_AFTER", subFilter("envoy.filters.http.lua"), lua.replace("http.lua", "http.lua2")),
    ["lua", "lua2", "router"],
  ],
  [
    "REMOVE what an earlier patch has put there",
    httpFilter("ADD", "listener: {}") + httpFilter("REMOVE", subFilter("envoy.filters.http.lua")),
    ["router"],
  ],
  [
    "REPLACE of the router by itself",
    httpFilter(
      "REPLACE",
      subFilter("envoy.filters.http.router"),
      `
    value:
      name: envoy.filters.http.router
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router, suppress_envoy_headers: true}`,
    ),
    ["router"],
  ],
];
for (const [name, patches, expected] of orders)
  test(`HTTP filters: ${name}`, () => {
    for (const names of inboundFilters(patches)) assert.equal(names, expected);
  });

test("an added HTTP filter goes where its class says", () => {
  const classed = (filterClass: string) => httpFilter("ADD", "listener: {}", `\n    filterClass: ${filterClass}${lua}`);
  const jwt = httpFilter("INSERT_FIRST", "listener: {}").replaceAll("http.lua\n", "http.jwt_authn\n");
  const { after } = listenerAfter(jwt + classed("AUTHN") + classed("STATS").replaceAll("http.lua\n", "http.last\n"));
  assert.equal(filterNames(managersOf(after!)[inboundHttp]), ["jwt_authn", "lua", "last", "router"]);
});

test("the port of a chain of virtualInbound is the one that the client meant", () => {
  const { after, told } = listenerAfter(
    httpFilter("INSERT_BEFORE", `listener: {portNumber: 8080, filterChain: {filter: {name: ${hcm}}}}`),
  );
  assert.equal(told, []);
  for (const [chain, manager] of Object.entries(managersOf(after!)))
    assert.equal(filterNames(manager), chain.startsWith("0.0.0.0_8080") ? ["lua", "router"] : ["router"], chain);
});

test("a context that is not the proxy's, another version and other metadata change nothing", () => {
  const patch = httpFilter("ADD", "listener: {}");
  const listener = inboundListener();
  for (const [match, fits] of [
    ["context: SIDECAR_OUTBOUND", false],
    ["context: ANY", true],
    ['context: SIDECAR_INBOUND, proxy: {proxyVersion: "^1\\\\.2[0-9]"}', true],
    ['context: SIDECAR_INBOUND, proxy: {proxyVersion: "^1\\\\.1"}', false],
    ["context: SIDECAR_INBOUND, proxy: {metadata: {CLUSTER_ID: Kubernetes}}", true],
    ["context: SIDECAR_INBOUND, proxy: {metadata: {CLUSTER_ID: other}}", false],
  ] as const) {
    const { after, told } = listenerAfter(patch.replace("context: SIDECAR_INBOUND", match), listener);
    assert.is(after === listener, !fits, match);
    if (!fits)
      assert.match(told[0]!, /^warning spec.configPatches\[0\]: the patch changes nothing: nothing .* fits match/);
  }
});

test("what would leave a chain without its router is not done, and told; the rest is", () => {
  const { after, told } = listenerAfter(
    httpFilter("REMOVE", subFilter("envoy.filters.http.router")) +
      httpFilter("INSERT_AFTER", subFilter("envoy.filters.http.router")) +
      httpFilter("INSERT_BEFORE", subFilter("envoy.filters.http.router")),
  );
  assert.equal(filterNames(managersOf(after!)[inboundHttp]), ["lua", "router"]);
  assert.match(told[0]!, /^error spec.configPatches\[0\]: not applied to filter chain .* must end in one/);
  assert.match(told[1]!, /^error spec.configPatches\[1\]: /);
  assert.is(told.length, 2);
});

test("an anchor that is nowhere is told", () => {
  const { after, told } = listenerAfter(httpFilter("INSERT_BEFORE", subFilter("envoy.filters.http.cors")));
  assert.equal(filterNames(managersOf(after!)[inboundHttp]), ["router"]);
  assert.match(told[0]!, /^warning .*changes nothing: filter chain .* has no envoy.filters.http.cors/);
});

test("NETWORK_FILTER MERGE reaches into the connection manager and leaves TCP alone", () => {
  const { after, told } = listenerAfter(`
- applyTo: NETWORK_FILTER
  match: {listener: {filterChain: {filter: {name: ${hcm}}}}}
  patch:
    operation: MERGE
    value:
      name: ${hcm}
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        max_request_headers_kb: 96
        use_remote_address: true
        normalize_path: false
        common_http_protocol_options: {idle_timeout: 30s}
        upgrade_configs: [{upgrade_type: CONNECT}]`);
  assert.equal(told, []);
  const manager = managersOf(after!)[inboundHttp]!;
  assert.is(manager.maxRequestHeadersKb, 96);
  assert.is(manager.useRemoteAddress, true);
  assert.is(manager.normalizePath, false, "a wrapper that holds false is set");
  assert.equal(
    manager.upgradeConfigs.map(({ upgradeType }) => upgradeType),
    ["websocket", "CONNECT"],
  );
  assert.equal(filterNames(manager), ["router"]);
  const before = inboundListener();
  const tcp = (listener: Listener) => listener.filterChains.find(({ name }) => name === "0.0.0.0_9090-tcp");
  assert.equal(tcp(after!), tcp(before));
});

test("a TypedStruct is merged into what it describes, and added as it is", () => {
  const { after, told } = listenerAfter(`
- applyTo: NETWORK_FILTER
  match: {listener: {filterChain: {filter: {name: envoy.tcp_proxy}}}}
  patch:
    operation: MERGE
    value:
      name: envoy.filters.network.tcp_proxy
      typed_config:
        "@type": type.googleapis.com/udpa.type.v1.TypedStruct
        type_url: type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
        value: {max_connect_attempts: 3}
- applyTo: HTTP_FILTER
  patch:
    operation: ADD
    value:
      name: own
      typed_config:
        "@type": type.googleapis.com/xds.type.v3.TypedStruct
        type_url: type.googleapis.com/envoy.extensions.filters.http.future.v3.Future
        value: {strange: [1, {a: b}]}`);
  assert.equal(told, []);
  const tcp = after!.filterChains.find(({ name }) => name === "0.0.0.0_9090-tcp")!.filters[0]!;
  const { cluster, max_connect_attempts } = configJson(tcp) as Readonly<Record<string, unknown>>;
  assert.equal({ cluster, max_connect_attempts }, { cluster: "inbound|9090||", max_connect_attempts: 3 });
  const own = managersOf(after!)[inboundHttp]!.httpFilters.find(({ name }) => name === "own")!;
  assert.equal((configJson(own) as { value: unknown }).value, { strange: [1, { a: "b" }] });
});

test("a configuration of another type is refused where the filter is named", () => {
  const { told } = listenerAfter(`
- applyTo: NETWORK_FILTER
  match: {listener: {filterChain: {filter: {name: ${hcm}}}}}
  patch:
    operation: MERGE
    value:
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
        stat_prefix: a`);
  assert.match(told[0]!, /^error .*HttpConnectionManager, not .*TcpProxy; use REPLACE/);
});

test("network filters are inserted, replaced and kept terminal", () => {
  const rbac = `
    value:
      name: envoy.filters.network.rbac
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC, stat_prefix: a}`;
  const patch = (operation: string, match: string, value = rbac) => `
- applyTo: NETWORK_FILTER
  match: {listener: {portNumber: 9090${match}}}
  patch:
    operation: ${operation}${value}`;
  const names = (patches: string) => {
    const { after, told } = listenerAfter(patches);
    const chain = after!.filterChains.find(({ name }) => name === "0.0.0.0_9090-tcp")!;
    return [chain.filters.map(({ name }) => name.replace("envoy.filters.network.", "")).join(), told.length];
  };
  const tcp = ", filterChain: {filter: {name: envoy.filters.network.tcp_proxy}}";
  assert.equal(names(patch("INSERT_FIRST", "")), ["rbac,tcp_proxy", 0]);
  assert.equal(names(patch("ADD", "")), ["rbac,tcp_proxy", 0]);
  assert.equal(names(patch("INSERT_BEFORE", tcp)), ["rbac,tcp_proxy", 0]);
  assert.equal(names(patch("REMOVE", tcp, "")), ["tcp_proxy", 1]);
  const echo = `
    value:
      name: envoy.filters.network.echo
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}`;
  assert.equal(names(patch("REPLACE", tcp, echo)), ["echo", 0]);
  assert.equal(names(patch("REMOVE", tcp, "") + patch("ADD", "", echo)), ["echo", 0]);
});

test("listener filters are inserted, merged and removed", () => {
  const patch = (operation: string, name: string, value: string) => `
- applyTo: LISTENER_FILTER
  match: {listener: {name: virtualInbound${name === "" ? "" : `, listenerFilter: ${name}`}}}
  patch:
    operation: ${operation}${value}`;
  const proxy = `
    value:
      name: envoy.filters.listener.proxy_protocol
      typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol}`;
  const names = (patches: string) => {
    const { after, told } = listenerAfter(patches);
    assert.equal(told, []);
    return after!.listenerFilters.map(({ name }) => name.replace("envoy.filters.listener.", "")).join();
  };
  const inspectors = "original_dst,tls_inspector,http_inspector";
  assert.is(names(patch("INSERT_FIRST", "", proxy)), `proxy_protocol,${inspectors}`);
  assert.is(names(patch("ADD", "", proxy)), `${inspectors},proxy_protocol`);
  assert.is(
    names(patch("INSERT_AFTER", "envoy.listener.original_dst", proxy)),
    "original_dst,proxy_protocol,tls_inspector,http_inspector",
  );
  assert.is(names(patch("REMOVE", "envoy.filters.listener.http_inspector", "")), "original_dst,tls_inspector");
});

test("LISTENER: merge, lists replaced, removal, a name that stays", () => {
  const patch = (operation: string, value: string) => `
- applyTo: LISTENER
  match: {listener: {portNumber: 80}}
  patch: {operation: ${operation}${value}}`;
  const merge = listenerAfter(
    patch("MERGE", ", value: {per_connection_buffer_limit_bytes: 8192, listener_filters_timeout: 2s}"),
    httpListener(),
    outbound,
  );
  assert.equal(merge.told, []);
  assert.is(merge.after?.perConnectionBufferLimitBytes, 8192);
  assert.is(merge.after?.listenerFiltersTimeout?.seconds, 2n);
  assert.is(merge.after?.listenerFilters.length, 2);
  assert.is(listenerAfter(patch("REMOVE", ""), httpListener(), outbound).after, undefined);
  const replaced = listenerAfter(
    patch(
      "MERGE_AND_REPLACE_LIST",
      ', value: {listener_filters: [{name: envoy.filters.listener.tls_inspector, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector}}]}',
    ),
    httpListener(),
    outbound,
  );
  assert.is(replaced.after?.listenerFilters.length, 1);
  const renamed = listenerAfter(patch("MERGE", ", value: {name: other}"), httpListener(), outbound);
  assert.is(renamed.after?.name, "0.0.0.0_80");
  assert.match(renamed.told[0]!, /^error .*not applied to listener 0.0.0.0_80: its name cannot become other/);
});

test("REMOVE beats others, whatever their order", () => {
  const patches = ["MERGE, value: {per_connection_buffer_limit_bytes: 1}", "REMOVE"].map(
    (rest) => `\n- {applyTo: LISTENER, match: {listener: {name: 0.0.0.0_80}}, patch: {operation: ${rest}}}`,
  );
  assert.is(listenerAfter(patches.join(""), httpListener(), outbound).after, undefined);
  assert.is(listenerAfter(patches.reverse().join(""), httpListener(), outbound).after, undefined);
});

test("FILTER_CHAIN: merge by destination port, removal, addition, none of it into the impossible", () => {
  const patch = (operation: string, match: string, value = "") => `
- applyTo: FILTER_CHAIN
  match: {listener: {name: virtualInbound${match}}}
  patch: {operation: ${operation}${value}}`;
  const chains = (listener: Listener | undefined) => listener!.filterChains.map(({ name }) => name);
  const merge = listenerAfter(
    patch(
      "MERGE",
      ", filterChain: {destinationPort: 8080, transportProtocol: tls}",
      ", value: {transport_socket_connect_timeout: 3s}",
    ),
  );
  assert.equal(
    merge
      .after!.filterChains.filter(({ transportSocketConnectTimeout }) => transportSocketConnectTimeout)
      .map(({ name }) => name),
    ["0.0.0.0_8080-mtls-http"],
  );
  const removed = listenerAfter(patch("REMOVE", ", filterChain: {name: 0.0.0.0_8080-http}"));
  assert.equal(
    chains(removed.after),
    chains(inboundListener()).filter((name) => name !== "0.0.0.0_8080-http"),
  );
  const all = listenerAfter(patch("REMOVE", ""));
  assert.equal(chains(all.after), chains(inboundListener()));
  assert.match(all.told.at(-1)!, /^error .*left with no filter chain/);
  const chain = (match: string) =>
    `, value: {name: own, filter_chain_match: {${match}}, filters: [{name: envoy.filters.network.echo, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]}`;
  assert.is(chains(listenerAfter(patch("ADD", "", chain("destination_port: 1"))).after).at(-1), "own");
  const instead = listenerAfter(patch("ADD", "", chain("")) + patch("REMOVE", ""));
  assert.equal(chains(instead.after), ["own"]);
  const nothing = listenerAfter(
    patch("ADD", "", chain("").replace("network.echo.v3.Echo", "network.rbac.v3.RBAC, stat_prefix: a")) +
      patch("REMOVE", ""),
  );
  assert.equal(chains(nothing.after), chains(inboundListener()), "the new chain cannot be, so that the old ones stay");
  const twin = listenerAfter(patch("ADD", "", chain("destination_port: 9090, transport_protocol: tls")));
  assert.match(twin.told[0]!, /^error .*would match what 0.0.0.0_9090-tls does/);
});

test("inline routes of inbound listeners take route patches", () => {
  const { after, told } = listenerAfter(`
- applyTo: VIRTUAL_HOST
  match: {context: SIDECAR_INBOUND, routeConfiguration: {portNumber: 8080, vhost: {name: "inbound|http|8080"}}}
  patch:
    operation: MERGE
    value: {response_headers_to_add: [{header: {key: x-served-by, value: mesh}}]}`);
  assert.equal(told, []);
  const source = managersOf(after!)[inboundHttp]!.routeSpecifier;
  assert.ok(source.case === "routeConfig");
  assert.is(source.value.virtualHosts[0]!.responseHeadersToAdd[0]!.header?.key, "x-served-by");
});

const routePatch = (applyTo: string, match: string, operation: string, value = "") => `
- applyTo: ${applyTo}
  match: {routeConfiguration: {${match}}}
  patch: {operation: ${operation}${value === "" ? "" : `, value: ${value}`}}`;

test("ROUTE_CONFIGURATION by name and port", () => {
  const merge = (match: string) =>
    routesAfter(routePatch("ROUTE_CONFIGURATION", match, "MERGE", "{request_headers_to_remove: [x-a]}"));
  assert.equal(merge("name: '80'").after.requestHeadersToRemove, ["x-a"]);
  assert.equal(merge("portNumber: 80").after.requestHeadersToRemove, ["x-a"]);
  assert.equal(merge("portNumber: 81").after.requestHeadersToRemove, []);
});

test("VIRTUAL_HOST: every operation", () => {
  const name = "reviews.shop.svc.cluster.local:80";
  const names = ({ after }: Outcome<RouteConfiguration>) => after.virtualHosts.map((host) => host.name.split(".")[0]);
  const vhost = `name: '80', vhost: {name: '${name}'}`;
  assert.equal(names(routesAfter(routePatch("VIRTUAL_HOST", vhost, "REMOVE"))), ["ratings", "allow_any"]);
  const domain = "vhost: {domainName: ratings.shop}";
  assert.equal(names(routesAfter(routePatch("VIRTUAL_HOST", domain, "REMOVE"))), ["reviews", "allow_any"]);
  const own = "{name: own, domains: [own.example], routes: [{match: {prefix: /}, direct_response: {status: 200}}]}";
  assert.equal(names(routesAfter(routePatch("VIRTUAL_HOST", "", "ADD", own))), [
    "ratings",
    "reviews",
    "allow_any",
    "own",
  ]);
  assert.equal(names(routesAfter(routePatch("VIRTUAL_HOST", vhost, "REPLACE", own))), ["ratings", "own", "allow_any"]);
  const twin = routesAfter(routePatch("VIRTUAL_HOST", "", "ADD", own.replace("own.example", "ratings.shop")));
  assert.equal(names(twin), ["ratings", "reviews", "allow_any"]);
  assert.match(twin.told[0]!, /^error .*domain ratings.shop is that of virtual host ratings/);
  const clash = routesAfter(routePatch("VIRTUAL_HOST", vhost, "MERGE", "{domains: ['*']}"));
  assert.match(clash.told[0]!, /^error .*domain \* is that/);
});

test("HTTP_ROUTE: every operation", () => {
  const vhost = (route: string) => `vhost: {name: 'reviews.shop.svc.cluster.local:80'${route}}`;
  const own = "{name: own, match: {path: /own}, direct_response: {status: 204}}";
  const after = (operation: string, route: string, value = own) => {
    const outcome = routesAfter(routePatch("HTTP_ROUTE", vhost(route), operation, operation === "REMOVE" ? "" : value));
    return [outcome.after.virtualHosts[1]!.routes.map(({ name }) => name).join(), outcome.told.length];
  };
  const anchor = ", route: {name: default}";
  assert.equal(after("ADD", ""), ["default,own", 0]);
  assert.equal(after("INSERT_FIRST", ""), ["own,default", 0]);
  assert.equal(after("INSERT_BEFORE", anchor), ["own,default", 0]);
  assert.equal(after("INSERT_AFTER", ", route: {action: ROUTE}"), ["default,own", 0]);
  assert.equal(after("INSERT_BEFORE", ", route: {action: REDIRECT}"), ["default", 1]);
  assert.equal(after("REMOVE", anchor), ["", 0]);
  assert.equal(after("REMOVE", ", route: {name: other}"), ["default", 1]);
  const { after: merged } = routesAfter(routePatch("HTTP_ROUTE", vhost(anchor), "MERGE", "{route: {timeout: 5s}}"));
  const { action } = merged.virtualHosts[1]!.routes[0]!;
  assert.ok(action.case === "route");
  assert.is(action.value.timeout?.seconds, 5n);
  assert.is(action.value.clusterSpecifier.value, "outbound|80||reviews.shop.svc.cluster.local");
  assert.is(action.value.retryPolicy?.numRetries, 2, "what the value does not say stays");
});

const clusterPatch = (match: string, operation: string, value: string) => `
- applyTo: CLUSTER
  match: {cluster: {${match}}}
  patch: {operation: ${operation}, value: ${value}}`;

test("CLUSTER is matched by name, service, port and subset, inbound by the service it serves", () => {
  const value = "{connect_timeout: 1s}";
  const seconds = (match: string, ...rest: readonly [Cluster?, PatchContext?, (readonly string[])?]) =>
    clusterAfter(clusterPatch(match, "MERGE", value), rest[0], rest[1], rest[2]).after?.connectTimeout?.seconds;
  assert.is(seconds("name: outbound|80||reviews.shop.svc.cluster.local"), 1n);
  assert.is(seconds("service: reviews.shop.svc.cluster.local, portNumber: 80"), 1n);
  assert.is(seconds("service: other.shop.svc.cluster.local"), 10n);
  assert.is(seconds("portNumber: 81"), 10n);
  assert.is(seconds("subset: v1"), 10n);
  const host = "reviews.shop.svc.cluster.local";
  assert.is(seconds(`service: ${host}`, applicationCluster(), inbound, [host]), 1n);
  assert.is(seconds(`service: ${host}`, applicationCluster(), inbound, []), 10n);
  assert.is(clusterAfter(clusterPatch("portNumber: 80", "REMOVE", "{}")).after, undefined);
});

test("CLUSTER MERGE opens Any of equal type, in map and socket", () => {
  const { after, told } = clusterAfter(
    clusterPatch(
      "service: reviews.shop.svc.cluster.local",
      "MERGE",
      `{
        upstream_connection_options: {tcp_keepalive: {keepalive_time: 300}},
        typed_extension_protocol_options: {
          envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {
            "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions,
            common_http_protocol_options: {max_requests_per_connection: 7}}},
        transport_socket: {name: envoy.transport_sockets.tls, typed_config: {
            "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext,
            max_session_keys: 0, common_tls_context: {tls_params: {tls_maximum_protocol_version: TLSv1_3}}}}}`,
    ),
  );
  assert.equal(told, []);
  assert.is(after?.transportSocket, undefined, "it has matches");
  assert.is(after?.upstreamConnectionOptions?.tcpKeepalive?.keepaliveTime, 300);
  const options = after!.typedExtensionProtocolOptions["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]!;
  assert.equal(configJson({ configType: { value: options } }), {
    common_http_protocol_options: { max_requests_per_connection: 7 },
    explicit_http_config: { http_protocol_options: {} },
  });
  const socket = configJson({ configType: after!.transportSocketMatches[0]!.transportSocket!.configType }) as {
    readonly sni: string;
    readonly max_session_keys: number;
    readonly common_tls_context: { readonly tls_params: object };
  };
  assert.is(socket.sni, "outbound_.80_._.reviews.shop.svc.cluster.local");
  assert.is(socket.max_session_keys, 0);
  assert.equal(socket.common_tls_context.tls_params, {
    tls_minimum_protocol_version: "TLSv1_2",
    tls_maximum_protocol_version: "TLSv1_3",
    cipher_suites: defaultMeshTls.cipherSuites,
  });
});

test("CLUSTER: what Envoy would refuse is not done", () => {
  const type = clusterAfter(clusterPatch("", "MERGE", "{type: STRICT_DNS}"));
  assert.equal(type.after?.clusterDiscoveryType, reviewsCluster().clusterDiscoveryType);
  assert.match(type.told[0]!, /^error .*ADD a cluster/);
  const half = "{upstream_bind_config: {source_address: {port_value: 0}}}";
  const part = clusterAfter(clusterPatch("", "MERGE", half));
  assert.is(part.after?.upstreamBindConfig, undefined, "there is nothing that could complete it");
  assert.match(part.told[0]!, /^error .*upstream_bind_config.source_address.address "" must have at least/);
  assert.equal(clusterAfter(clusterPatch("", "MERGE", half), applicationCluster(), inbound).told, []);
  const socket = clusterAfter(clusterPatch("", "MERGE", "{transport_socket: {name: envoy.transport_sockets.alts}}"));
  assert.match(socket.told[0]!, /^error .*none of them is named envoy.transport_sockets.alts/);
});

test("ADD brings listeners, clusters and extension configurations, once and by context", () => {
  const patch = (applyTo: string, context: string, value: string) =>
    `\n- {applyTo: ${applyTo}, match: {context: ${context}}, patch: {operation: ADD, value: ${value}}}`;
  const cluster = (name: string) => `{name: ${name}, type: STRICT_DNS, connect_timeout: 1s}`;
  const { set, report, told } = setOf([
    filterOf(
      patch("CLUSTER", "ANY", cluster("any")) +
        patch("CLUSTER", "SIDECAR_INBOUND", cluster("in")) +
        patch("CLUSTER", "SIDECAR_OUTBOUND", cluster("any")) +
        patch(
          "LISTENER",
          "GATEWAY",
          '{name: edge, address: {socket_address: {address: 0.0.0.0, port_value: 9}}, filter_chains: [{filters: [{name: echo, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}}]}]}',
        ) +
        patch(
          "EXTENSION_CONFIG",
          "SIDECAR_INBOUND",
          `{name: ext, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}`,
        ),
    ),
  ]);
  const names = (direction: PatchContext["direction"]) => {
    const context = contextOf(direction);
    return [
      addedClusters(set, context, () => false, report),
      addedListeners(set, context, () => false, report),
      extensionConfigs(set, context, report),
    ].map((added) => added.map(({ name }) => name).join());
  };
  assert.equal(names("SIDECAR_INBOUND"), ["in", "", "ext"]);
  assert.equal(names("SIDECAR_OUTBOUND"), ["any", "", ""]);
  assert.equal(names("GATEWAY"), ["any", "edge", ""]);
  assert.equal(told().length, 1);
  assert.match(told()[0]!, /^error spec.configPatches\[2\]: .*any is there already/);
  assert.equal(
    addedClusters(set, outbound, (name) => name === "any"),
    [],
  );
});

test("a fault costs its patch only", () => {
  const broken = filterOf(`
- applyTo: CLUSTER
  patch: {operation: MERGE, value: {conect_timeout: 1s}}
- applyTo: CLUSTER
  patch: {operation: MERGE, value: {connect_timeout: 2s}}`);
  const { set, told } = setOf([broken]);
  assert.is(patchCluster(set, outbound, reviewsCluster())?.connectTimeout?.seconds, 2n);
  assert.match(
    told()[0]!,
    /^error spec.configPatches\[0\].patch.value.conect_timeout: .*did you mean "connect_timeout"\?$/,
  );
});

test("later filters are laid over earlier ones", () => {
  const merge = (seconds: number) =>
    filterOf(`\n- {applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeout: ${seconds}s}}}`);
  const after = (filters: readonly EnvoyFilter[]) =>
    patchCluster(compilePatches(filters), outbound, reviewsCluster())?.connectTimeout?.seconds;
  assert.is(after([merge(1), merge(2)]), 2n);
  assert.is(after([merge(2), merge(1)]), 1n);
});

test("input is never changed, and what no patch meets is the same object", () => {
  const { set } = setOf([
    filterOf(
      httpFilter("ADD", "listener: {}") +
        "\n- {applyTo: LISTENER, patch: {operation: MERGE, value: {per_connection_buffer_limit_bytes: 1}}}",
    ),
  ]);
  const listener = inboundListener();
  const json = JSON.stringify(toJson(ListenerSchema, listener, { registry: envoyTypes() }));
  const after = patchListener(set, inbound, listener);
  assert.is.not(after, listener);
  assert.is(JSON.stringify(toJson(ListenerSchema, listener, { registry: envoyTypes() })), json);
  const nothing = compilePatches([]);
  for (const each of [...outboundListeners(), listener]) assert.is(patchListener(nothing, outbound, each), each);
});

test.run();
