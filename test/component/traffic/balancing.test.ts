import { rmSync } from "node:fs";
import { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { endpointsOfSubset } from "../../../src/model/destination-rule.js";
import { endpoint } from "../../support/services.js";
import { assignmentOf, clusterOf, proxiedOf, type Situation } from "../support/proxied.js";
import { get, getMany, listen, type Running, startNamed } from "../support/servers.js";
import { eventually, type StaticEnvoy, startStaticEnvoy } from "../support/static-envoy.js";

/** What load balancers, subsets, localities, circuit breakers and outlier detection do to traffic, by a real Envoy. */
const names = ["a", "b", "c", "d"] as const;
const servers = new Map<string, Running>();
const failing = new Set<string>();
const notFound = new Set<string>();
const held: (() => void)[] = [];
const socketPath = join(tmpdir(), `heddle-balancing-${process.pid}.sock`);
let envoy: StaticEnvoy;

for (const name of names)
  servers.set(
    name,
    await startNamed(name, (request, response) => {
      response.statusCode = failing.has(name) ? 500 : notFound.has(name) ? 404 : 200;
      if (request.url === "/held") held.push(() => response.end(name));
      else response.end(name);
    }),
  );
const atPath = await listen(new Server((_, response) => response.end("at a path")), socketPath);

const place = (name: string, region: string, zone: string, labels: Readonly<Record<string, string>> = {}) =>
  endpoint("127.0.0.1", servers.get(name)!.port, { region, zone, labels, podName: name });
const all = names.map((name) => place(name, "", "", { version: name === "a" ? "v1" : "v2" }));
const spread = [place("a", "eu", "1"), place("b", "eu", "2"), place("c", "us", "1"), place("d", "asia", "1")];
const proxy = { locality: { region: "eu", zone: "1", subzone: "" }, labels: { team: "blue" } };
const quick = { consecutive5xxErrors: 2, interval: "0.1s", baseEjectionTime: "60s", maxEjectionPercent: 100 };

const situations = {
  header: {
    name: "header",
    endpoints: all,
    policy: { loadBalancer: { consistentHash: { httpHeaderName: "x-user" } } },
  },
  maglev: {
    name: "maglev",
    endpoints: all,
    policy: { loadBalancer: { consistentHash: { httpQueryParameterName: "q", maglev: { tableSize: 101 } } } },
  },
  cookie: {
    name: "cookie",
    endpoints: all,
    policy: { loadBalancer: { consistentHash: { httpCookie: { name: "session", ttl: "0s", path: "/shop" } } } },
  },
  affinity: { name: "affinity", endpoints: all, policy: {}, service: { clientAffinity: true } },
  roundRobin: { name: "round-robin", endpoints: all, policy: { loadBalancer: { simple: "ROUND_ROBIN" } } },
  warmUp: {
    name: "warm-up",
    endpoints: all,
    policy: { loadBalancer: { simple: "ROUND_ROBIN", warmup: { duration: "1s", aggression: 2, minimumPercent: 20 } } },
  },
  subset: { name: "subset", subset: "v1", endpoints: endpointsOfSubset(all, { version: "v1" }), policy: {} },
  empty: { name: "empty", subset: "v9", endpoints: endpointsOfSubset(all, { version: "v9" }), policy: {} },
  breaker: {
    name: "breaker",
    endpoints: all.slice(0, 1),
    policy: { connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } } },
  },
  perConnection: {
    name: "per-connection",
    endpoints: all.slice(1, 2),
    policy: { connectionPool: { http: { maxRequestsPerConnection: 2 } } },
  },
  budget: { name: "budget", endpoints: all, policy: { retryBudget: { percent: 50, budgetInterval: "1s" } } },
  outlier: {
    name: "outlier",
    endpoints: all.slice(0, 2),
    policy: { outlierDetection: quick, loadBalancer: { simple: "ROUND_ROBIN" } },
  },
  codes: {
    name: "codes",
    endpoints: all.slice(0, 2),
    policy: {
      outlierDetection: { ...quick, outlierDetectionHttpErrorCodes: [404, 410] },
      loadBalancer: { simple: "ROUND_ROBIN" },
    },
  },
  failover: {
    name: "failover",
    endpoints: spread,
    proxy,
    policy: { outlierDetection: quick, loadBalancer: { localityLbSetting: { failover: [{ from: "eu", to: "us" }] } } },
  },
  noFailover: { name: "no-failover", endpoints: spread, proxy, policy: { loadBalancer: { simple: "ROUND_ROBIN" } } },
  priority: {
    name: "priority",
    endpoints: [place("a", "", ""), place("b", "", "", { team: "blue" })],
    proxy,
    policy: { outlierDetection: quick, loadBalancer: { localityLbSetting: { failoverPriority: ["team"] } } },
  },
  distribute: {
    name: "distribute",
    endpoints: spread,
    proxy,
    policy: { loadBalancer: { localityLbSetting: { distribute: [{ from: "eu/*", to: { "eu/1": 75, "us/*": 25 } }] } } },
  },
  dns: {
    name: "dns",
    endpoints: [endpoint("localhost", servers.get("c")!.port)],
    service: { resolution: "dns", origin: "ServiceEntry" },
    policy: {},
  },
  logicalDns: {
    name: "logical-dns",
    endpoints: [endpoint("localhost", servers.get("d")!.port)],
    service: { resolution: "dns-round-robin", origin: "ServiceEntry" },
    policy: {},
  },
  unix: { name: "unix", endpoints: [endpoint(`unix://${socketPath}`, 0)], policy: {} },
  unattainable: { name: "unattainable", endpoints: all, policy: { tls: { mode: "SIMPLE", credentialName: "c" } } },
} satisfies Readonly<Record<string, Situation>>;

type Name = keyof typeof situations;
const portOf = (name: Name): number => envoy.portOf(clusterOf(situations[name]));
const stat = (name: Name, counter: string): Promise<number> => envoy.stat(clusterOf(situations[name]), counter);
const ask = (name: Name, headers?: Readonly<Record<string, string>>, path?: string) => get(portOf(name), headers, path);
const different = (bodies: readonly string[]): readonly string[] => [...new Set(bodies)].sort();

test.before(async () => {
  const proxied = Object.values(situations).map((situation: Situation) =>
    proxiedOf({ ...situation, service: { ...situation.service, isExternal: true } }),
  );
  envoy = await startStaticEnvoy(proxied, { certificate: "", key: "", roots: "" });
});
test.after(async () => {
  await envoy?.stop();
  for (const server of servers.values()) await server.stop();
  await atPath.stop();
  rmSync(socketPath, { force: true });
});
test.after.each(() => {
  failing.clear();
  notFound.clear();
});

test("the same header goes to the same endpoint, other headers to others", async () => {
  for (const user of ["ann", "bob", "cy"])
    assert.is(different(await getMany(10, portOf("header"), () => ({ "x-user": user }))).length, 1);
  const spreadOut = different(await getMany(60, portOf("header"), (index) => ({ "x-user": `user-${index}` })));
  assert.equal(spreadOut, ["a", "b", "c", "d"]);
});

test("the same query parameter goes to the same endpoint, by Maglev", async () => {
  const at = async (q: string): Promise<string> => (await ask("maglev", {}, `/?q=${q}`)).body;
  for (const q of ["1", "2"]) assert.is(await at(q), await at(q));
  const seen = new Set<string>();
  for (let q = 0; q < 60; q++) seen.add(await at(`q${q}`));
  assert.is(seen.size, 4);
});

test("a cookie is made if there is none, and sticks", async () => {
  const first = await ask("cookie");
  const [cookie = ""] = first.headers["set-cookie"] ?? [];
  assert.match(cookie, /^session="?[0-9a-f]+"?;.*Path=\/shop/);
  assert.not.match(cookie, /Max-Age=[1-9]/, "of the session");
  const sent = { cookie: cookie.split(";")[0]! };
  assert.equal(different(await getMany(10, portOf("cookie"), () => sent)), [first.body]);
});

test("a Service with ClientIP affinity sticks by the client's address", async () => {
  assert.is(different(await getMany(12, portOf("affinity"))).length, 1);
});

test("round robin, also with warm-up, reaches all", async () => {
  for (const name of ["roundRobin", "warmUp"] as const)
    assert.equal(different(await getMany(16, portOf(name))), ["a", "b", "c", "d"], name);
});

test("a subset is the endpoints with its labels; one without endpoints fails as unhealthy", async () => {
  assert.equal(different(await getMany(8, portOf("subset"))), ["a"]);
  const empty = await ask("empty");
  assert.is(empty.status, 503);
  assert.match(empty.body, /no healthy upstream/);
});

test("requests over the limit are refused at once, those within it are served", async () => {
  const answers = [ask("breaker", {}, "/held")];
  await eventually(async () => assert.is(held.length, 1));
  for (let more = 0; more < 4; more++) answers.push(ask("breaker", {}, "/held"));
  await eventually(async () => assert.is(await stat("breaker", "upstream_rq_pending_overflow"), 3));
  const release = setInterval(() => {
    for (const answer of held.splice(0)) answer();
  }, 5);
  const done = await Promise.all(answers);
  clearInterval(release);
  assert.equal(done.map(({ status }) => status).sort(), [200, 200, 503, 503, 503]);
  assert.is(done.find(({ status }) => status === 503)?.headers["x-envoy-overloaded"], "true");
});

test("a connection carries as many requests as allowed", async () => {
  const before = servers.get("b")!.connections();
  await getMany(6, portOf("perConnection"));
  assert.is(servers.get("b")!.connections() - before, 3);
});

test("a retry budget is taken, its interval too", async () => {
  assert.is((await ask("budget")).status, 200);
  const cluster = (await envoy.understood(clusterOf(situations.budget))) as {
    circuit_breakers: { thresholds: { retry_budget: unknown }[] };
  };
  assert.equal(cluster.circuit_breakers.thresholds[0]?.retry_budget, {
    budget_percent: { value: 50 },
    min_retry_concurrency: 3,
    budget_interval: "1s",
  });
});

test("an endpoint that fails in a row is ejected", async () => {
  failing.add("a");
  await eventually(async () => {
    await getMany(4, portOf("outlier"));
    assert.is(await stat("outlier", "outlier_detection.ejections_active"), 1);
  });
  assert.equal(different(await getMany(20, portOf("outlier"))), ["b"]);
});

test("outlier detection counts the statuses named, and no others", async () => {
  failing.add("a");
  await getMany(20, portOf("codes"));
  assert.is(await stat("codes", "outlier_detection.ejections_active"), 0, "500 is not named");
  failing.clear();
  notFound.add("a");
  await eventually(async () => {
    await getMany(4, portOf("codes"));
    assert.is(await stat("codes", "outlier_detection.ejections_active"), 1);
  });
  assert.equal(different(await getMany(10, portOf("codes"))), ["b"]);
});

test("traffic stays in the zone, then the region, then goes where failover says, then elsewhere", async () => {
  for (const [name, next] of [
    ["a", "b"],
    ["b", "c"],
    ["c", "d"],
  ] as const) {
    assert.equal(different(await getMany(12, portOf("failover"))), [name]);
    failing.add(name);
    await eventually(async () => assert.equal(different(await getMany(6, portOf("failover"))), [next]));
  }
});

test("without outlier detection, localities are all alike", async () => {
  assert.equal(different(await getMany(16, portOf("noFailover"))), ["a", "b", "c", "d"]);
});

test("endpoints that share the client's labels come first", async () => {
  assert.equal(different(await getMany(8, portOf("priority"))), ["b"]);
  failing.add("b");
  await eventually(async () => assert.equal(different(await getMany(6, portOf("priority"))), ["a"]));
});

test("localities get their shares, one that is not named nothing", async () => {
  const bodies = await getMany(400, portOf("distribute"));
  assert.equal(different(bodies), ["a", "c"]);
  // 300 are expected; were each drawn alone, 260 to 340 would hold in all but 4 of a million runs.
  const near = bodies.filter((body) => body === "a").length;
  assert.ok(near > 260 && near < 340, `${near} of 400`);
});

test("endpoints by DNS name, by the first address of one, and at a path", async () => {
  assert.equal(await eventually(() => ask("dns").then(({ body }) => body)), "c");
  assert.equal(await eventually(() => ask("logicalDns").then(({ body }) => body)), "d");
  assert.is((await ask("unix")).body, "at a path");
});

test("new endpoints take part, and those that are gone do not", async () => {
  const moved: Situation = { ...situations.roundRobin, endpoints: all.slice(2, 3) };
  await envoy.assign(assignmentOf(moved));
  assert.equal(different(await getMany(8, portOf("roundRobin"))), ["c"]);
});

test("where the certificates asked for cannot be had, nothing is sent", async () => {
  const before = [...servers.values()].reduce((sum, server) => sum + server.connections(), 0);
  const { status, body } = await ask("unattainable");
  assert.is(status, 503);
  assert.match(body, /no healthy upstream/);
  assert.is(
    [...servers.values()].reduce((sum, server) => sum + server.connections(), 0),
    before,
  );
});

test.run();
