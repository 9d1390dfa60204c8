import { join as joinPath } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { ExtensionProvider } from "../../src/api/extension-provider.js";
import { projectFolder } from "../../src/cli/run/machine.js";
import { echoPod, join, service } from "./support/manifests.js";
import { eventually, type Mesh, type Response, reportOf, startMesh } from "./support/mesh.js";
import { authorizationPolicy, callers, forServer } from "./support/policies.js";

/** CUSTOM, with an authorizer that runs in the mesh. */
const test = suite<{ mesh: Mesh }>("CUSTOM");

const host = "authorizer.auth.svc.cluster.local";
const providers: readonly ExtensionProvider[] = [
  {
    name: "by-http",
    envoyExtAuthzHttp: {
      service: `auth/${host}`,
      port: 8000,
      timeout: "5s",
      pathPrefix: "/check",
      includeRequestHeadersInCheck: ["x-verdict", "X-Ow*"],
      includeAdditionalHeadersInCheck: { "x-added": "always" },
      headersToUpstreamOnAllow: ["x-user"],
      headersToDownstreamOnAllow: ["x-told"],
      headersToDownstreamOnDeny: ["x-reason", "x-told"],
    },
  },
  {
    name: "with-body",
    envoyExtAuthzHttp: {
      ...{ service: host, port: 8000, headersToDownstreamOnDeny: ["x-t*"] },
      includeRequestBodyInCheck: { maxRequestBytes: 5, allowPartialMessage: true },
    },
  },
  { name: "by-grpc", envoyExtAuthzGrpc: { service: host, port: 9000, timeout: "5s" } },
  { name: "gone", envoyExtAuthzGrpc: { service: "gone.auth.svc.cluster.local", port: 9000, statusOnError: "503" } },
  { name: "gone-http", envoyExtAuthzHttp: { service: "gone.auth.svc.cluster.local", port: 9000 } },
  {
    name: "gone-open",
    envoyExtAuthzGrpc: { service: "gone.auth.svc.cluster.local", port: 9000, failOpen: true, timeout: "0.2s" },
  },
  { name: "no-authorizer" },
];

const ports = { http: [80, 8080], tcp: [7070, 7070] } as const;

test.before(async (context) => {
  context.mesh = await startMesh({
    mesh: { extensionProviders: providers },
    yaml: join(
      callers,
      service("server", ports, { namespace: "shop" }),
      echoPod("server", "server", { namespace: "shop" }),
      service("authorizer", { http: [8000, 8000], grpc: [9000, 9000] }, { namespace: "auth" }),
      echoPod("authorizer", "authorizer", {
        namespace: "auth",
        container: {
          name: "authorizer",
          image: "heddle/node",
          args: [joinPath(projectFolder, "test/component/support/authorizer.ts")],
          readinessProbe: { tcpSocket: { port: 9000 }, periodSeconds: 1 },
        },
      }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const one = async (mesh: Mesh, ...call: Parameters<Mesh["call"]>): Promise<Response> => (await mesh.call(...call))[0]!;
const ask = (mesh: Mesh, path: string, verdict = "", headers = {}): Promise<Response> =>
  one(mesh, "frontend", `http://server.shop${path}`, {
    headers: { ...(verdict && { "x-verdict": verdict }), ...headers },
  });
const custom = (name: string, paths: readonly string[] = ["/asked*"]): object => ({
  ...forServer,
  action: "CUSTOM",
  provider: { name },
  rules: [{ to: [{ operation: { paths, ports: ["8080"] } }] }],
});

test("over HTTP: what it is told, what it decides, and what goes on from its answer", async ({ mesh }) => {
  await mesh.apply(authorizationPolicy("asking", custom("by-http")));
  assert.is((await ask(mesh, "/free")).status, 200, "what no rule selects is asked about by nobody");
  const denied = await ask(mesh, "/asked/a?b=c", "deny", { "x-own": "mine", "x-secret": "s" });
  assert.is(denied.status, 403);
  assert.is(denied.body, "the authorizer refuses");
  assert.is(denied.headers["x-told"], "GET /check/asked/a?b=c own=mine added=always secret=undefined body=");
  assert.is(denied.headers["x-reason"], "not today");
  assert.is(denied.headers["x-hidden"], undefined);
  assert.is((await ask(mesh, "/asked", "unknown")).status, 401);
  const allowed = await ask(mesh, "/asked", "allow", { "x-user": "forged" });
  assert.is(allowed.headers["x-told"], "GET /check/asked own=undefined added=always secret=undefined body=");
  assert.is(allowed.headers["x-hidden"], undefined);
  assert.is(reportOf(allowed).headers["x-user"], "tester");
  assert.is(reportOf(allowed).headers["x-hidden"], undefined);
});

test("it is told as much of the body as the provider says", async ({ mesh }) => {
  await mesh.apply(authorizationPolicy("asking", custom("with-body")));
  const sent = { method: "POST", body: "confidential" };
  const denied = await one(mesh, "frontend", "http://server.shop/asked", sent);
  assert.is(denied.headers["x-told"], "POST /asked own=undefined added=undefined secret=undefined body=confi");
  assert.is(reportOf(await one(mesh, "frontend", "http://server.shop/free", sent)).body, "confidential");
});

test("over gRPC, on the same connections from the next request on", async ({ mesh }) => {
  await mesh.apply(authorizationPolicy("asking", custom("by-grpc")));
  assert.is((await ask(mesh, "/free")).status, 200);
  const denied = await ask(mesh, "/asked", "deny");
  assert.is(denied.status, 403);
  assert.is(denied.body, "the authorizer refuses");
  assert.is(reportOf(await ask(mesh, "/asked/a?b", "allow")).headers["x-user"], "tester of /asked/a?b");
});

test("it is asked before DENY and ALLOW, which hold besides", async ({ mesh }) => {
  await mesh.apply(
    join(
      authorizationPolicy("denying", {
        ...forServer,
        action: "DENY",
        rules: [{ to: [{ operation: { paths: ["/asked/never"] } }] }],
      }),
      authorizationPolicy("allowing", { ...forServer, rules: [{ to: [{ operation: { methods: ["GET"] } }] }] }),
    ),
  );
  assert.is((await ask(mesh, "/asked/never", "allow")).body, "RBAC: access denied");
  assert.is((await ask(mesh, "/asked/never", "deny")).body, "the authorizer refuses");
  assert.is((await ask(mesh, "/asked", "allow")).status, 200);
  for (const name of ["denying", "allowing"]) await mesh.remove("AuthorizationPolicy", "shop", name);
});

test("over gRPC, about TCP connections", async ({ mesh }) => {
  const echo = async (pod: string): Promise<string> =>
    (await one(mesh, pod, "tcp://server.shop:7070", { body: "hello" })).body;
  const rules = [{ to: [{ operation: { ports: ["7070"] } }] }];
  await mesh.apply(
    authorizationPolicy("tcp", { ...forServer, action: "CUSTOM", provider: { name: "by-grpc" }, rules }),
  );
  assert.is(await echo("frontend"), "hello");
  assert.is(await echo("batch"), "");
  await mesh.remove("AuthorizationPolicy", "shop", "tcp");
  await mesh.remove("AuthorizationPolicy", "shop", "asking");
  assert.is(await echo("batch"), "hello");
  await mesh.apply(
    authorizationPolicy("tcp", { ...forServer, action: "CUSTOM", provider: { name: "by-http" }, rules }),
  );
  assert.is(await echo("frontend"), "", "HTTP cannot be asked about connections, so they are denied");
  assert.is((await ask(mesh, "/asked")).status, 200);
  await mesh.remove("AuthorizationPolicy", "shop", "tcp");
});

test("an authorizer that is not there refuses, with its status, unless it is to fail open", async ({ mesh }) => {
  for (const [name, status] of [
    ["gone", 503],
    ["gone-http", 403],
    ["gone-open", 200],
  ] as const) {
    await mesh.apply(authorizationPolicy("asking", custom(name)));
    assert.is((await ask(mesh, "/asked", "allow")).status, status, name);
    assert.is((await ask(mesh, "/free")).status, 200, name);
    await eventually("the status tells", async () =>
      mesh.conditions("AuthorizationPolicy", "shop", "asking").some((text) => text.includes("no service gone.auth")),
    );
  }
});

test("a provider that the mesh does not have denies what the policy selects, and says so", async ({ mesh }) => {
  for (const name of ["nobody", "no-authorizer"]) {
    await mesh.apply(authorizationPolicy("asking", custom(name)));
    assert.is((await ask(mesh, "/asked", "allow")).status, 403, name);
    assert.is((await ask(mesh, "/free")).status, 200, name);
    await eventually("the status tells", async () =>
      mesh
        .conditions("AuthorizationPolicy", "shop", "asking")
        .some(
          (text) =>
            text.startsWith("Reconciled False Invalid: What it would have restricted is denied") && text.includes(name),
        ),
    );
    assert.match(mesh.log(), "what it would have restricted is denied until it is corrected");
  }
});

test("several providers of one workload deny what their policies select, and say so", async ({ mesh }) => {
  await mesh.apply(
    join(
      authorizationPolicy("asking", custom("by-http")),
      authorizationPolicy("asking-too", custom("by-grpc", ["/too*"])),
    ),
  );
  assert.is((await ask(mesh, "/asked", "allow")).status, 403);
  assert.is((await ask(mesh, "/too", "allow")).status, 403);
  assert.is((await ask(mesh, "/free")).status, 200);
  await eventually("both statuses tell", async () =>
    ["asking", "asking-too"].every((name) =>
      mesh.conditions("AuthorizationPolicy", "shop", name).some((text) => text.startsWith("Reconciled False Conflict")),
    ),
  );
  await mesh.remove("AuthorizationPolicy", "shop", "asking-too");
  assert.is((await ask(mesh, "/asked", "allow")).status, 200);
  await mesh.remove("AuthorizationPolicy", "shop", "asking");
  assert.is((await ask(mesh, "/asked")).status, 200);
});

test.run();
