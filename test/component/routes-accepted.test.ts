import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../src/api/meshconfig.js";
import { headerValueFault, plainOperators } from "../../src/api/networking/headers.js";
import { createRegexCheck } from "../../src/api/networking/regex.js";
import { type HttpRoute, virtualService } from "../../src/api/networking/virtual-service.js";
import { httpConnectionManager } from "../../src/compile/http.js";
import { httpRoutes } from "../../src/compile/routes/http.js";
import { tcpRoutes, tlsRoutes, weightedTcpProxy } from "../../src/compile/routes/l4.js";
import { standardTelemetry } from "../../src/model/telemetry.js";
import type { ResolvedVirtualService } from "../../src/model/virtual-service.js";
import { FilterChainSchema } from "../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import { type Listener, ListenerSchema } from "../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { arbitraryVirtualService } from "../support/arbitrary/virtual-service.js";
import { resolved, routeConfiguration, sidecarContext } from "../support/routing.js";
import { loopbackListener, refusalOf } from "./support/loopback-envoy.js";

const httpListener = (name: string, rule: ResolvedVirtualService): Listener =>
  loopbackListener(name, [
    [
      httpConnectionManager({
        direction: "outbound",
        mesh: defaultMeshConfig,
        reporting: standardTelemetry(defaultMeshConfig).client,
        statPrefix: name,
        routes: { inline: routeConfiguration(name, httpRoutes(rule, sidecarContext)) },
      }),
    ],
  ]);

const l4Listeners = (name: string, rule: ResolvedVirtualService): readonly Listener[] => {
  const routes = [...tlsRoutes(rule, sidecarContext), ...tcpRoutes(rule, sidecarContext)];
  if (routes.length === 0) return [];
  const chains = routes.map(({ match, clusters }) =>
    create(FilterChainSchema, {
      filterChainMatch: { ...match, ...(match.serverNames === undefined ? {} : { transportProtocol: "tls" }) },
      filters: [weightedTcpProxy(clusters)],
    }),
  );
  return [create(ListenerSchema, loopbackListener(name, chains))];
};

/** Rules of one VirtualService; each has to be right by our own judgement too. */
const rulesOf = (routes: readonly HttpRoute[]): ResolvedVirtualService => {
  const spec = { hosts: ["reviews"], http: [...routes] };
  const object = { metadata: { name: "rules", namespace: "shop" }, spec };
  const errors = virtualService.check(object).filter(({ severity }) => severity === "error");
  assert.equal(errors, []);
  return resolved(object);
};

const destination = { host: "reviews" };
const split = [
  { destination: { host: "reviews", subset: "v1" }, weight: 90, headers: { request: { set: { a: "1" } } } },
  { destination: { host: "reviews", subset: "v2" }, weight: 10 },
];

test("Envoy takes what any right VirtualService becomes", async () => {
  const seed = Number(process.env["FC_SEED"] ?? Date.now() % 2 ** 31);
  const objects = fc.sample(arbitraryVirtualService, { numRuns: 400, seed });
  const listeners = objects.flatMap((object, index) => {
    const errors = virtualService.check(object).filter(({ severity }) => severity === "error");
    assert.equal(errors, [], JSON.stringify(object.spec));
    const rule = resolved(object);
    return [httpListener(`http-${index}`, rule), ...l4Listeners(`l4-${index}`, rule)];
  });
  assert.is(await refusalOf({ listeners, clusters: [] }), "", `seed ${seed}`);
});

test("Envoy takes every field at its edges", async () => {
  const routes: readonly HttpRoute[] = [
    { match: [{ uri: { exact: "" } }], route: [{ destination, weight: 0 }] },
    { match: [{ uri: { prefix: "/x" }, headers: { a: { exact: "" } }, withoutHeaders: { b: {} } }], route: split },
    { match: [{ uri: { regex: `(?:${"a".repeat(1000)}){1}` } }], route: [{ destination }] },
    { match: [{ uri: { regex: "(?:/[a-z0-9_-]{1,60}){1,8}" } }], route: [{ destination }] },
    { match: [{ method: { exact: "GET" } }], directResponse: { status: 200, body: { string: "x".repeat(2 ** 20) } } },
    { match: [{ method: { exact: "PUT" } }], redirect: { prefixRewrite: "/b", redirectCode: 308, port: 65535 } },
    {
      match: [{ method: { exact: "POST" } }],
      route: split,
      timeout: "87600h",
      retries: {
        attempts: 2147483647,
        perTryTimeout: "1ms",
        retryOn: "reset-before-request,503,599",
        backoff: "1h",
        retryRemoteLocalities: true,
      },
      mirrors: [{ destination, percentage: { value: 0.0001 } }, { destination: { host: "audit" } }],
      fault: {
        delay: { fixedDelay: "1h", percentage: { value: 100 } },
        abort: { httpStatus: 599, percentage: { value: 0.0001 } },
      },
    },
    {
      route: [
        { destination, weight: 1 },
        { destination: { host: "b" }, weight: 2147483647 },
      ],
    },
  ];
  const addresses = resolved({
    metadata: { name: "rules", namespace: "shop" },
    spec: {
      hosts: ["10.0.0.1", "::1"],
      tls: [{ match: [{ sniHosts: ["10.0.0.1", "::1"], destinationSubnets: ["::/0"] }], route: [{ destination }] }],
    },
  });
  const listeners = [httpListener("edges", rulesOf(routes)), ...l4Listeners("addresses", addresses)];
  assert.is(await refusalOf({ listeners, clusters: [] }), "");
});

test("Envoy takes the regular expressions that pass our judgement", async () => {
  const part = fc.constantFrom(
    ...[
      "a",
      ".",
      "\\d",
      "\\w+",
      "[^/]",
      "\\pL",
      "\\PN",
      "(?i)k",
      "é",
      "[é-ü]",
      "x{2,5}",
      "(a|b)",
      "\\x{e9}",
      "\\Qa.b\\E",
    ],
    ...["(?P<n>a)", "(?:a*)+", "^", "$", "\\b", "[[:alpha:]]", "*", "(", "{3}", "\\C", "(?=a)", "[a-", "a**", "\\1"],
  );
  const pattern = fc
    .tuple(fc.array(part, { minLength: 1, maxLength: 6 }), fc.constantFrom("", "", "{50}", "{1000}"))
    .map(([parts, repeat]) => (repeat === "" ? parts.join("") : `(?:${parts.join("")})${repeat}`));
  const patterns = [...new Set(fc.sample(pattern, { numRuns: 1500, seed: 7 }))].filter(
    (text) => createRegexCheck().fault(text) === undefined,
  );
  assert.ok(patterns.length > 300, `${patterns.length} patterns`);
  const listeners = patterns.map((regex, index) =>
    httpListener(`regex-${index}`, rulesOf([{ match: [{ uri: { regex } }], route: [{ destination }] }])),
  );
  assert.is(await refusalOf({ listeners, clusters: [] }), "");
});

test("Envoy knows every operator that a header's value may hold", async () => {
  const values = [
    ...[...plainOperators].map((name) => `%${name}%`),
    ...["REQ", "RESP", "TRAILER", "REQUEST_HEADER", "RESPONSE_HEADER", "RESPONSE_TRAILER"].map(
      (name) => `%${name}(a?b):9%`,
    ),
    ...["START_TIME", "START_TIME_LOCAL", "EMIT_TIME", "EMIT_TIME_LOCAL"].map((name) => `%${name}(%s.%3f)%`),
    ...["%CLUSTER_METADATA(a:b)%", "%UPSTREAM_METADATA(a:b)%", "%METADATA(ROUTE:a):9%"],
    ...["DYNAMIC_METADATA", "ENVIRONMENT", "QUERY_PARAM"].map((name) => `%${name}(a):9%`),
    ...["%METADATA(ROUTE:istio:config)%", "%FILTER_STATE(a:FIELD:b):5%", "%UPSTREAM_FILTER_STATE(a:PLAIN)%"],
    ...["%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%", "%GRPC_STATUS(CAMEL_STRING)%", "%PATH(NQ:ORIG):5%"],
    ...["%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", "%QUERY_PARAMS:5%", "100%%", "a%%%PROTOCOL%b", "%REQ(:path)%"],
    ...["%DOWNSTREAM_PEER_CERT_V_START(%b)%", "%UPSTREAM_PEER_CERT_V_END(%b)%", '{"a": "%PROTOCOL%"}', "ü\tb"],
  ];
  const faults = values.flatMap((value) => headerValueFault(value) ?? []);
  assert.equal(faults, []);
  const set = Object.fromEntries(values.map((value, index) => [`x-${index}`, value]));
  const routes: readonly HttpRoute[] = [{ route: [{ destination }], headers: { request: { set }, response: { set } } }];
  assert.is(await refusalOf({ listeners: [httpListener("operators", rulesOf(routes))], clusters: [] }), "");
});

test("the judge of these tests is awake: Envoy refuses what is wrong", async () => {
  const wrong = resolved({
    metadata: { name: "rules", namespace: "shop" },
    spec: { hosts: ["reviews"], http: [{ route: [{ destination }], headers: { request: { set: { a: "100%" } } } }] },
  });
  assert.match(await refusalOf({ listeners: [httpListener("wrong", wrong)], clusters: [] }), /valid command/);
});

test.run();
