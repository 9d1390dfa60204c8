import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { echoPod, join, service } from "./support/manifests.js";
import { type CallOptions, eventually, type Mesh, type Response, startMesh } from "./support/mesh.js";
import { authorizationPolicy, callers, forServer } from "./support/policies.js";

const test = suite<{ mesh: Mesh; folder: string }>("AuthorizationPolicy");

const ports = { http: [80, 8080], http2: [81, 8081], tcp: [7070, 7070], "tcp-greeting": [7071, 7071] } as const;

const logOf = (folder: string): string => joinPath(folder, "access.log");

test.before(async (context) => {
  context.folder = await mkdtemp(joinPath(tmpdir(), "heddle-access-"));
  await chmod(context.folder, 0o777);
  context.mesh = await startMesh({
    mesh: {
      accessLogFile: logOf(context.folder),
      accessLogFormat:
        "%REQ(:PATH)% %RESPONSE_CODE% audited=%DYNAMIC_METADATA(envoy.common:access_log_hint)% %RESPONSE_CODE_DETAILS%\n",
    },
    yaml: join(
      callers,
      service("server", ports, { namespace: "shop" }),
      echoPod("server", "server", {
        namespace: "shop",
        annotations: { "proxy.istio.io/config": JSON.stringify({ drainDuration: "2s" }) },
      }),
      service("other", { http: [80, 8080] }, { namespace: "shop" }),
      echoPod("other", "other", { namespace: "shop" }),
    ),
  });
});

test.after(async ({ mesh, folder }) => {
  await mesh?.close();
  await rm(folder, { recursive: true, force: true });
});

const present: [namespace: string, name: string][] = [];
const put = async (mesh: Mesh, ...policies: readonly (readonly [name: string, spec: object, options?: object])[]) => {
  for (const [name, , options] of policies) present.push([(options as { home?: string })?.home ?? "shop", name]);
  await mesh.apply(join(...policies.map(([name, spec, options]) => authorizationPolicy(name, spec, options))));
};

test.after.each(async ({ mesh }) => {
  for (const [home, name] of present.splice(0)) await mesh.remove("AuthorizationPolicy", home, name).catch(() => {});
});

const one = async (mesh: Mesh, ...call: Parameters<Mesh["call"]>): Promise<Response> => (await mesh.call(...call))[0]!;
const status = async (mesh: Mesh, pod: string, path = "/", options: CallOptions = {}): Promise<number> =>
  (await one(mesh, pod, path.startsWith("/") ? `http://server.shop${path}` : path, options)).status;
const echo = async (mesh: Mesh, pod: string, address = "server.shop:7070"): Promise<string> =>
  (await one(mesh, pod, `tcp://${address}`, { body: "hello" })).body;
const paths = (...values: readonly string[]) => [{ to: [{ operation: { paths: values } }] }];
const isFrontend = { from: [{ source: { principals: ["cluster.local/ns/shop/sa/frontend"] } }] };

test("the guide's case: only GET /api/v1 from frontend to backend", async ({ mesh }) => {
  const rules = [{ ...isFrontend, to: [{ operation: { methods: ["GET"], paths: ["/api/v1"] } }] }];
  await put(mesh, ["guide", { ...forServer, action: "ALLOW", rules }]);
  assert.is(await status(mesh, "frontend", "/api/v1"), 200);
  assert.is(await status(mesh, "frontend", "/api/v1?query"), 200);
  assert.is(await status(mesh, "frontend", "/api/v2"), 403);
  assert.is(await status(mesh, "frontend", "/api/v1", { method: "POST" }), 403);
  assert.is(await status(mesh, "batch", "/api/v1"), 403);
  assert.is(await status(mesh, "outside", "/api/v1"), 403);
  assert.is(await status(mesh, "batch", "http://other.shop/"), 200, "others are not selected");
  assert.is(await echo(mesh, "frontend"), "", "a connection shows neither method nor path");
  await mesh.remove("AuthorizationPolicy", "shop", "guide");
  assert.is(await status(mesh, "outside", "/api/v2"), 200);
  assert.is(await echo(mesh, "outside"), "hello");
});

test("without rules nothing is allowed; probes, readiness and metrics are answered all the same", async ({ mesh }) => {
  await put(mesh, ["nothing", {}]);
  for (const pod of ["frontend", "batch", "outside"]) {
    assert.is(await status(mesh, pod), 403, pod);
    assert.is(await status(mesh, pod, "http://other.shop/"), 403, pod);
    assert.is(await echo(mesh, pod), "", pod);
    assert.is((await one(mesh, pod, "tcp://server.shop:7071")).body, "", `${pod} hears nothing of who speaks first`);
  }
  const { address, pod } = mesh.pod("shop/server");
  const probe = pod.spec?.containers.find(({ name }) => name === "echo")?.readinessProbe?.httpGet;
  for (const url of [
    `http://${address}:${probe?.port}${probe?.path}`,
    `http://${address}:15021/healthz/ready`,
    `http://${address}:15090/stats/prometheus`,
  ])
    assert.is(await status(mesh, "outside", url), 200, url);
});

test("DENY goes before ALLOW; policies of mesh, namespace and workload hold together", async ({ mesh }) => {
  await put(
    mesh,
    ["mesh", { action: "DENY", rules: paths("/closed") }, { home: "istio-system" }],
    ["namespace", { rules: paths("/a", "/closed") }],
    ["workload", { ...forServer, rules: paths("/b") }],
  );
  for (const [path, expected] of [
    ["/a", 200],
    ["/b", 200],
    ["/c", 403],
    ["/closed", 403],
  ] as const)
    assert.is(await status(mesh, "frontend", path), expected, path);
  assert.is(await status(mesh, "frontend", "http://other.shop/b"), 403);
  assert.is(await status(mesh, "frontend", "http://other.shop/a"), 200);
  await mesh.remove("AuthorizationPolicy", "istio-system", "mesh");
  assert.is(await status(mesh, "frontend", "/closed"), 200);
});

test("a policy with targetRefs does nothing to sidecars", async ({ mesh }) => {
  const targetRefs = [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "g" }];
  await put(mesh, ["gateway", { targetRefs, action: "DENY", rules: [{}] }]);
  assert.is(await status(mesh, "frontend"), 200);
});

test("the access log names the rule that has denied", async ({ mesh, folder }) => {
  await put(mesh, ["denying", { ...forServer, action: "DENY", rules: [...paths("/x"), ...paths("/named")] }]);
  assert.is((await one(mesh, "frontend", "http://server.shop/named")).body, "RBAC: access denied");
  await eventually("the log", async () =>
    (await readFile(logOf(folder), "utf8")).includes(
      "/named 403 audited=- rbac_access_denied_matched_policy[ns[shop]-policy[denying]-rule[1]]",
    ),
  );
});

test("AUDIT marks requests for the access log, and decides nothing", async ({ mesh, folder }) => {
  await put(mesh, ["audit", { ...forServer, action: "AUDIT", rules: paths("/audited") }]);
  assert.is(await status(mesh, "frontend", "/audited"), 200);
  assert.is(await status(mesh, "frontend", "/unaudited"), 200);
  await eventually("the log", async () => {
    const log = await readFile(logOf(folder), "utf8");
    return log.includes("/audited 200 audited=true") && log.includes("/unaudited 200 audited=false");
  });
});

test("a dry run counts what it would do, and does nothing", async ({ mesh }) => {
  const annotations = { "istio.io/dry-run": "true" };
  await put(
    mesh,
    ["dry-allow", { ...forServer, rules: paths("/allowed") }, { annotations }],
    ["dry-deny", { ...forServer, action: "DENY", rules: paths("/denied") }, { annotations }],
    ["dry-custom", { ...forServer, action: "CUSTOM", provider: { name: "none" }, rules: [{}] }, { annotations }],
  );
  const counted = (name: string): Promise<number> =>
    mesh.stat("shop/server", new RegExp(`^http\\.inbound_0\\.0\\.0\\.0_8080\\.rbac\\.istio_dry_run_${name}:`));
  for (const path of ["/allowed", "/allowed", "/denied", "/other"])
    assert.is(await status(mesh, "frontend", path), 200, path);
  assert.is(await counted("allow_.shadow_allowed"), 2);
  assert.is(await counted("allow_.shadow_denied"), 2);
  assert.is(await counted("deny_.shadow_denied"), 1);
  assert.is(await counted("deny_.shadow_allowed"), 3);
  assert.is(await echo(mesh, "outside"), "hello");
});

/** Requests on one connection, while `change` is made; their statuses in order, each counted once in a row. */
const during = async (mesh: Mesh, options: CallOptions, change: () => Promise<void>): Promise<readonly number[]> => {
  const port = options.protocol === "http2" ? 8081 : 8080;
  const connections = (): Promise<number> => mesh.stat("shop/server", /^listener\..*15006\.downstream_cx_total:/);
  const before = await connections();
  const calls = mesh.call("outside", `http://${mesh.pod("shop/server").address}:${port}/`, {
    ...options,
    count: 400,
    concurrency: 1,
    pauseMilliseconds: 15,
  });
  await eventually("it has begun", async () => (await connections()) > before);
  await change();
  const responses = await calls;
  assert.equal(
    responses.flatMap(({ error }) => error ?? []),
    [],
  );
  assert.is(await connections(), before + 1, "one connection");
  return responses.map((each) => each.status).filter((each, index, all) => each !== all[index - 1]);
};

for (const protocol of ["http1", "http2"] as const)
  test(`a policy holds from the next request on, on open connections: ${protocol}`, async ({ mesh }) => {
    const closing = await during(mesh, { protocol }, () =>
      put(mesh, ["closing", { ...forServer, action: "DENY", rules: [{}] }]),
    );
    assert.equal(closing, [200, 403]);
    const opening = await during(mesh, { protocol }, () => mesh.remove("AuthorizationPolicy", "shop", "closing"));
    assert.equal(opening, [403, 200]);
  });

test("TCP: identities, addresses and ports decide", async ({ mesh }) => {
  await put(mesh, ["tcp", { ...forServer, rules: [{ ...isFrontend, to: [{ operation: { ports: ["7070"] } }] }] }]);
  assert.is(await echo(mesh, "frontend"), "hello");
  assert.is(await echo(mesh, "batch"), "");
  assert.is(await echo(mesh, "outside"), "");
  assert.is(await status(mesh, "frontend"), 403);
  // Nobody may connect to this port, so not even the application's first words are heard.
  for (const pod of ["frontend", "batch", "outside"])
    assert.is((await one(mesh, pod, "tcp://server.shop:7071")).body, "", pod);
  await put(mesh, ["tcp", { ...forServer, rules: [isFrontend] }]);
  assert.match((await one(mesh, "frontend", "tcp://server.shop:7071")).body, "greets");
  assert.is((await one(mesh, "outside", "tcp://server.shop:7071")).body, "", "who has no identity hears nothing");
  const address = mesh.pod("plain/outside").address;
  await put(mesh, ["tcp", { ...forServer, action: "DENY", rules: [{ from: [{ source: { ipBlocks: [address] } }] }] }]);
  assert.is(await echo(mesh, "batch"), "hello");
  assert.is(await echo(mesh, "outside"), "");
  assert.is(await status(mesh, "outside"), 403);
});

test("TCP: a rule about requests allows nothing, and denies by what is left of it", async ({ mesh }) => {
  const rule = { to: [{ operation: { methods: ["DELETE"] } }] };
  await put(mesh, ["mixed", { ...forServer, rules: [rule, { to: [{ operation: { ports: ["7071"] } }] }] }]);
  assert.is(await echo(mesh, "frontend"), "");
  assert.match((await one(mesh, "frontend", "tcp://server.shop:7071")).body, "greets");
  await put(mesh, ["mixed", { ...forServer, action: "DENY", rules: [rule] }]);
  assert.is(await status(mesh, "frontend"), 200);
  assert.is(await status(mesh, "frontend", "/", { method: "DELETE" }), 403);
  assert.is(await echo(mesh, "frontend"), "", "nothing of the rule is left, so all connections are denied");
  await put(mesh, [
    "mixed",
    { ...forServer, action: "DENY", rules: [{ to: [{ operation: { ...rule.to[0]!.operation, ports: ["8080"] } }] }] },
  ]);
  assert.is(await echo(mesh, "frontend"), "hello");
  assert.is(await status(mesh, "frontend", "/", { method: "DELETE" }), 403);
});

test("TCP: an open connection is closed within the drain time of the policy that revokes it", async ({ mesh }) => {
  const connected = async (): Promise<number> =>
    (await mesh.exec("shop/server", "ss", "-Htn", "state", "established", "sport", "=", ":7070"))
      .split("\n")
      .filter(Boolean).length;
  const held = one(mesh, "frontend", "tcp://server.shop:7070", {
    body: "hello",
    untilClose: true,
    timeoutMilliseconds: 20_000,
  });
  await eventually("it is connected", async () => (await connected()) === 1);
  const revoked = Date.now();
  await put(mesh, ["revoking", { ...forServer, action: "DENY", rules: [isFrontend] }]);
  const { body, error } = await held;
  assert.is(body, "hello");
  assert.is.not(error, "timeout");
  assert.ok(Date.now() - revoked < 10_000, `closed after ${Date.now() - revoked} ms`);
  assert.is(await echo(mesh, "frontend"), "");
});

test("one that is invalid and never was valid denies what it could have restricted, and says so", async ({ mesh }) => {
  const wrong = [{ from: [{ source: { ipBlocks: ["10.0.0.0/99"] } }] }];
  for (const [action, spec] of [
    ["ALLOW", { ...forServer, rules: wrong }],
    ["DENY", { ...forServer, action: "DENY", rules: wrong }],
  ] as const) {
    await put(mesh, ["invalid", spec]);
    assert.is(await status(mesh, "frontend"), 403, action);
    assert.is(await echo(mesh, "frontend"), "", action);
    assert.is(await status(mesh, "frontend", "http://other.shop/"), 200, "others are not selected");
    await eventually("the status", async () =>
      mesh
        .conditions("AuthorizationPolicy", "shop", "invalid")
        .some((text) =>
          text.startsWith("Reconciled False Invalid: What it would have restricted is denied. spec.rules[0]"),
        ),
    );
    await mesh.remove("AuthorizationPolicy", "shop", "invalid");
    assert.is(await status(mesh, "frontend"), 200);
  }
  assert.match(mesh.log(), "an invalid resource denies what it would have restricted, until it is corrected");
  await put(mesh, ["invalid", { ...forServer, action: "DENY", rules: paths("/x") }]);
  await put(mesh, ["invalid", { ...forServer, action: "DENY", rules: wrong }]);
  assert.is(await status(mesh, "frontend"), 200, "the last good version stays");
  assert.is(await status(mesh, "frontend", "/x"), 403);
});

/** What some applications take for another path, and what the proxy makes of it before it is compared. */
const raw = async (mesh: Mesh, path: string): Promise<string> => {
  const { body } = await one(mesh, "outside", `tcp://${mesh.pod("shop/server").address}:8080`, {
    body: `GET ${path} HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n`,
    untilClose: true,
  });
  return body.slice(9, 12);
};

test("a DENY of a path is not passed by in another form of it", async ({ mesh }) => {
  await put(mesh, ["closing", { ...forServer, action: "DENY", rules: paths("/admin", "/files/{**}") }]);
  for (const path of [
    ...["/admin", "/x/../admin", "/./admin", "/%61dmin", "/admin?x", "/admin#x"],
    ...[
      "/files/",
      "/files/a",
      '/files/a"b',
      "/files/<a>|^`{}\\",
      "/files/\u00e4",
      "/files//a",
      "/files/%2e%2e/files/x",
    ],
  ])
    assert.is.not(await raw(mesh, path), "200", path);
  assert.is(await raw(mesh, "/open"), "200");
});

test.run();
