import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createIssuer, hmac, now, tokenOf } from "./support/json-web-tokens.js";
import { echoPod, join, service } from "./support/manifests.js";
import { eventually, type Mesh, type Response, reportOf, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("RequestAuthentication");

const first = createIssuer("https://first.example");
const second = createIssuer("second@example", "", "ES256");
const third = createIssuer("https://third.example", "third", "EdDSA");

const policy = (home: string, name: string, jwtRules: readonly object[], rest: object = {}): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name, namespace: home },
    spec: { jwtRules, ...rest },
  });
const ruleOf = (issuer: typeof first, rest: object = {}): object => ({
  issuer: issuer.name,
  jwks: issuer.jwks,
  ...rest,
});

const ports = { http: [80, 8080], http2: [81, 8081] } as const;
const server = (home: string): string =>
  join(service("server", ports, { namespace: home }), echoPod("server", "server", { namespace: home }));

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(echoPod("client", "client"), server("one"), policy("one", "first", [ruleOf(first)])),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

type Headers = Readonly<Record<string, string>>;
interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Headers;
}

const ask = async (
  mesh: Mesh,
  home: string,
  { path = "/", method = "GET", headers = {} }: Ask = {},
): Promise<Response> => (await mesh.call("client", `http://server.${home}${path}`, { method, headers }))[0]!;
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });

const outcome = ({ status, body, error }: Response): string => (status === 200 ? "200" : `${status} ${body || error}`);

test("a valid token passes, a bad one is answered 401, a missing one passes", async ({ mesh }) => {
  const cases: readonly (readonly [name: string, expected: RegExp, ask: Ask])[] = [
    ["no token", /^200$/, {}],
    ["valid", /^200$/, { headers: bearer(first.token()) }],
    ["valid in the query", /^200$/, { path: `/?access_token=${first.token()}` }],
    ["basic credentials are no token", /^200$/, { headers: { authorization: "Basic YTpi" } }],
    ["made up", /^401 /, { headers: bearer("a.b.c") }],
    ["expired", /^401 Jwt is expired/, { headers: bearer(first.token({ exp: now() - 120 })) }],
    ["expired within the clocks' difference", /^200$/, { headers: bearer(first.token({ exp: now() - 20 })) }],
    ["not yet", /^401 Jwt not yet valid/, { headers: bearer(first.token({ nbf: now() + 300 })) }],
    ["not yet, within the clocks' difference", /^200$/, { headers: bearer(first.token({ nbf: now() + 20 })) }],
    ["another issuer", /^401 Jwt issuer is not configured/, { headers: bearer(second.token()) }],
    ["another's key", /^401 /, { headers: bearer(createIssuer(first.name).token()) }],
    ["unknown kid", /^401 /, { headers: bearer(first.token({}, { kid: "other" })) }],
    [
      "without kid, which any of the keys may have signed",
      /^200$/,
      { headers: bearer(first.token({}, { kid: undefined })) },
    ],
    ["letters beyond ASCII", /^401 /, { headers: bearer("\u00e9.b.c") }],
    ["alg none", /^401 /, { headers: bearer(tokenOf({ alg: "none" }, { iss: first.name, sub: "a" }, () => "")) }],
    [
      "the public key as a secret",
      /^401 /,
      { headers: bearer(tokenOf({ alg: "HS256", kid: "first" }, { iss: first.name }, hmac(first.publicPem))) },
    ],
    [
      "the key set as a secret",
      /^401 /,
      { headers: bearer(tokenOf({ alg: "HS256", kid: "first" }, { iss: first.name }, hmac(first.key.n!))) },
    ],
    ["huge", /^(401|431) /, { headers: bearer(first.token({ pad: "x".repeat(60_000) })) }],
    ["claims of any language", /^200$/, { headers: bearer(first.token({ sub: "Zoë 你好" })) }],
    [
      "valid in the header, bad in the query",
      /^401 /,
      { path: "/?access_token=a.b.c", headers: bearer(first.token()) },
    ],
    [
      "bad in the header, valid in the query",
      /^401 /,
      { path: `/?access_token=${first.token()}`, headers: bearer("a.b.c") },
    ],
    ["valid in both", /^200$/, { path: `/?access_token=${first.token()}`, headers: bearer(first.token()) }],
  ];
  for (const [name, expected, given] of cases) assert.match(outcome(await ask(mesh, "one", given)), expected, name);
});

test("two issuers in one place: tokens of both are taken, in every policy that selects the workload", async ({
  mesh,
}) => {
  await mesh.apply(
    join(
      server("both"),
      policy("both", "a", [ruleOf(first), ruleOf(second)], { selector: { matchLabels: { app: "server" } } }),
      policy("istio-system", "mesh", [ruleOf(third)], { selector: { matchLabels: { app: "server" } } }),
    ),
  );
  const statusOf = async (headers: Headers): Promise<number> => (await ask(mesh, "both", { headers })).status;
  await eventually("the policies are in force", async () => (await statusOf(bearer("a.b.c"))) === 401);
  for (const issuer of [first, second, third]) assert.is(await statusOf(bearer(issuer.token())), 200, issuer.name);
  assert.is(await statusOf(bearer(createIssuer(second.name).token())), 401);
  assert.is(await statusOf(bearer(createIssuer("fourth").token())), 401);
  assert.is(await statusOf({}), 200);
  await mesh.remove("RequestAuthentication", "istio-system", "mesh");
  await eventually("the root's has gone", async () => (await statusOf(bearer(third.token()))) === 401);
});

test("a token that was taken is refused once it has expired, and where it is for others", async ({ mesh }) => {
  await mesh.apply(policy("one", "first", [ruleOf(first, { audiences: ["a"] })]));
  const token = first.token({ exp: now() - 55, aud: "a" });
  const statusOf = async (): Promise<number> => (await ask(mesh, "one", { headers: bearer(token) })).status;
  await eventually("it is taken", async () => (await statusOf()) === 200);
  await eventually("it has expired", async () => (await statusOf()) === 401, 30);
  const fresh = first.token({ aud: "a" });
  assert.is((await ask(mesh, "one", { headers: bearer(fresh) })).status, 200);
  await mesh.apply(policy("one", "first", [ruleOf(first, { audiences: ["b"] })]));
  await eventually("it is for others", async () => (await ask(mesh, "one", { headers: bearer(fresh) })).status === 403);
  await mesh.apply(policy("one", "first", [ruleOf(first)]));
  await eventually(
    "any audience will do",
    async () => (await ask(mesh, "one", { headers: bearer(fresh) })).status === 200,
  );
});

test("a token goes no further than the proxy, from header and query", async ({ mesh }) => {
  const report = reportOf(await ask(mesh, "one", { path: `/a?x=1&access_token=${first.token()}` }));
  assert.is(report.path, "/a?x=1");
  assert.is(reportOf(await ask(mesh, "one", { headers: bearer(first.token()) })).headers["authorization"], undefined);
});

test("a first policy, another one and their end hold from the next request on and drain nothing", async ({ mesh }) => {
  await mesh.apply(server("changing"));
  const statusOf = async (headers: Headers): Promise<number> => (await ask(mesh, "changing", { headers })).status;
  const drains = () => mesh.stat("changing/server", /^listener_manager\.listener_(modified|removed|in_place_updated)/);
  const before = await drains();
  assert.is(await statusOf(bearer("a.b.c")), 200);
  await mesh.apply(policy("changing", "a", [ruleOf(first)]));
  await eventually("bad tokens are refused", async () => (await statusOf(bearer("a.b.c"))) === 401);
  assert.is(await statusOf(bearer(first.token())), 200);
  await mesh.apply(policy("changing", "a", [ruleOf(second)]));
  await eventually("tokens of the first are refused", async () => (await statusOf(bearer(first.token()))) === 401);
  assert.is(await statusOf(bearer(second.token())), 200);
  await mesh.remove("RequestAuthentication", "changing", "a");
  await eventually("any token passes", async () => (await statusOf(bearer("a.b.c"))) === 200);
  assert.is(await drains(), before);
});

test("an invalid policy without an earlier version refuses tokens in its places, until it is corrected", async ({
  mesh,
}) => {
  await mesh.apply(
    join(
      server("broken"),
      policy("broken", "a", [
        ruleOf(first, { jwks: "<html>", fromHeaders: [{ name: "x-token" }], outputPayloadToHeader: "x-out" }),
      ]),
    ),
  );
  await eventually("the status tells", async () => {
    const told = mesh.conditions("RequestAuthentication", "broken", "a").join();
    return /Reconciled False Invalid: What it would have restricted is denied/.test(told) || told;
  });
  const statusOf = async (headers: Headers): Promise<number> => (await ask(mesh, "broken", { headers })).status;
  assert.is(await statusOf({ "x-token": first.token() }), 401);
  assert.is(await statusOf(bearer("opaque")), 200, "other places are left alone");
  assert.is(reportOf(await ask(mesh, "broken", { headers: { "x-out": "made-up" } })).headers["x-out"], undefined);
  await mesh.apply(policy("broken", "a", [ruleOf(first, { fromHeaders: [{ name: "x-token" }] })]));
  await eventually("it is in force", async () => (await statusOf({ "x-token": first.token() })) === 200);
});

test.run();
