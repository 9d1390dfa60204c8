import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createIssuer } from "./support/json-web-tokens.js";
import { echoPod, join, service } from "./support/manifests.js";
import { type Mesh, type Response, reportOf, startMesh } from "./support/mesh.js";

/** What the application gets of tokens, and of what callers make up. */
const test = suite<{ mesh: Mesh }>("headers of RequestAuthentication");

const first = createIssuer("https://first.example");
const second = createIssuer("https://second.example", "second", "ES256");
const third = createIssuer("https://third.example", "", "EdDSA");

type Headers = Readonly<Record<string, string>>;
const bearer = (token: string): Headers => ({ authorization: `Bearer ${token}` });

const rules: readonly object[] = [
  {
    issuer: first.name,
    jwks: first.jwks,
    outputPayloadToHeader: "X-First",
    outputClaimToHeaders: [
      { header: "x-group", claim: "realm.group" },
      { header: "x-level", claim: "level" },
      { header: "x-list", claim: "list" },
    ],
  },
  {
    issuer: second.name,
    jwks: second.jwks,
    fromHeaders: [{ name: "x-token", prefix: "Token " }],
    fromParams: ["token"],
    audiences: ["shop"],
    outputPayloadToHeader: "x-second",
    forwardOriginalToken: true,
    spaceDelimitedClaims: ["roles"],
  },
  // The same issuer and place once more, for others.
  {
    issuer: second.name,
    jwks: second.jwks,
    fromHeaders: [{ name: "x-token", prefix: "Token " }],
    audiences: ["bank"],
    outputClaimToHeaders: [{ header: "x-bank", claim: "sub" }],
  },
  { issuer: third.name, jwks: third.jwks, fromCookies: ["session"], forwardOriginalToken: true },
];

const made = ["x-first", "x-group", "x-level", "x-list", "x-second", "x-bank"] as const;
const madeUp: Headers = Object.fromEntries(made.map((name) => [name, "made-up"]));

/** Shows what other filters, such as those of authorization, read. */
const reader = `function envoy_on_request(handle)
  local found = handle:streamInfo():dynamicMetadata():get("envoy.filters.http.jwt_authn")
  local function text(value)
    if type(value) == "table" then return "[" .. table.concat(value, ",") .. "]" end
    return tostring(value)
  end
  if found == nil then handle:headers():replace("x-seen", "nothing") return end
  local p = found["payload"]
  handle:headers():replace("x-seen", p.iss .. "/" .. p.sub .. " " .. text(p.scope) .. " " .. text(p.roles))
end`;

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      echoPod("client", "client"),
      service("server", { http: [80, 8080], http2: [81, 8081] }, { namespace: "two" }),
      echoPod("server", "server", { namespace: "two" }),
      JSON.stringify({
        apiVersion: "security.istio.io/v1",
        kind: "RequestAuthentication",
        metadata: { name: "all", namespace: "two" },
        spec: { jwtRules: rules },
      }),
      JSON.stringify({
        apiVersion: "networking.istio.io/v1alpha3",
        kind: "EnvoyFilter",
        metadata: { name: "reader", namespace: "two" },
        spec: {
          configPatches: [
            {
              applyTo: "HTTP_FILTER",
              match: {
                context: "SIDECAR_INBOUND",
                listener: {
                  filterChain: {
                    filter: {
                      name: "envoy.filters.network.http_connection_manager",
                      subFilter: { name: "envoy.filters.http.router" },
                    },
                  },
                },
              },
              patch: {
                operation: "INSERT_BEFORE",
                value: {
                  name: "reader",
                  typed_config: {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                    default_source_code: { inline_string: reader },
                  },
                },
              },
            },
          ],
        },
      }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

interface Ask {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Headers;
}

const ask = async (mesh: Mesh, { path = "/", method = "GET", headers = {} }: Ask, isHttp2 = false): Promise<Response> =>
  (
    await mesh.call("client", `http://server.two${isHttp2 ? ":81" : ""}${path}`, {
      method,
      headers,
      protocol: isHttp2 ? "http2" : "http1",
    })
  )[0]!;
const headersOf = async (mesh: Mesh, given: Ask): Promise<Headers> => reportOf(await ask(mesh, given)).headers;

const payloadOf = (text: string | undefined): Readonly<Record<string, unknown>> =>
  JSON.parse(Buffer.from(text ?? "", "base64url").toString("utf8"));

test("claims, nested ones and lists too, and the payload come as headers", async ({ mesh }) => {
  const token = first.token({ realm: { group: "admins" }, level: 7, list: ["a"] });
  const seen = async (): Promise<Headers> => {
    const { "x-request-id": _, ...rest } = await headersOf(mesh, { headers: bearer(token) });
    return rest;
  };
  assert.equal(await seen(), await seen(), "each time the same");
  const headers = await headersOf(mesh, { headers: bearer(token) });
  assert.is(headers["x-group"], "admins");
  assert.is(headers["x-level"], "7");
  assert.is(Buffer.from(headers["x-list"]!, "base64").toString("utf8"), '["a"]');
  assert.is(payloadOf(headers["x-first"])["sub"], "alice");
  assert.is(headers["authorization"], undefined);
});

test("headers that a caller makes up never reach the application, whatever else comes with them", async ({ mesh }) => {
  const preflight = { origin: "https://a.example", "access-control-request-method": "POST" };
  const cases: readonly (readonly [what: string, ask: Ask, proven: readonly string[]])[] = [
    ["no token", {}, []],
    ["other letters", { headers: { "X-FIRST": "made-up", "X-Group": "made-up" } }, []],
    ["a token of the first", { headers: bearer(first.token()) }, ["x-first"]],
    ["a token of the second", { headers: { "x-token": `Token ${second.token({ aud: "shop" })}` } }, ["x-second"]],
    [
      "a token of the second for others",
      { headers: { "x-token": `Token ${second.token({ aud: "bank" })}` } },
      ["x-bank"],
    ],
    ["a token in a cookie", { headers: { cookie: `session=${third.token()}` } }, []],
    ["a CORS preflight", { method: "OPTIONS", headers: preflight }, []],
    ["a CORS preflight with a token", { method: "OPTIONS", headers: { ...preflight, ...bearer("a.b.c") } }, []],
    ["a token for nobody", { headers: { "x-heddle-no-token": first.token({ iss: "heddle:nobody" }) } }, []],
  ];
  for (const isHttp2 of [false, true])
    for (const [what, given, proven] of cases) {
      const { headers } = reportOf(await ask(mesh, { ...given, headers: { ...madeUp, ...given.headers } }, isHttp2));
      for (const name of made) {
        if (proven.includes(name)) assert.ok(headers[name], `${what}: ${name} is missing`);
        assert.is.not(headers[name], "made-up", `${what}: ${name}`);
        if (!proven.includes(name)) assert.is(headers[name], undefined, `${what}: ${name}`);
      }
    }
});

test("each issuer has its places, audiences and forwarding; rules of one issuer stand beside each other", async ({
  mesh,
}) => {
  const inToken = (token: string): Ask => ({ headers: { "x-token": `Token ${token}` } });
  const shop = second.token({ aud: ["other", "shop"] });
  assert.is((await headersOf(mesh, inToken(shop)))["x-token"], `Token ${shop}`, "forwarded");
  assert.is((await headersOf(mesh, inToken(second.token({ aud: "bank" }))))["x-token"], undefined, "not forwarded");
  assert.is(reportOf(await ask(mesh, { path: `/?token=${shop}` })).path, `/?token=${shop}`);
  const cases: readonly (readonly [what: string, expected: RegExp, ask: Ask])[] = [
    ["another audience", /^403 Audiences in Jwt are not allowed/, inToken(second.token({ aud: "else" }))],
    ["no audience", /^403 /, inToken(second.token())],
    ["the second's token where the first's is looked for", /^401 /, { headers: bearer(second.token({ aud: "shop" })) }],
    ["the first's token where the second's is looked for", /^401 /, inToken(first.token())],
    ["another prefix is no token", /^200/, { headers: { "x-token": `Other ${second.token()}` } }],
    ["a cookie", /^200/, { headers: { cookie: `a=b; session=${third.token()}` } }],
    ["a bad cookie", /^401 /, { headers: { cookie: "session=a.b.c" } }],
    ["another cookie", /^200/, { headers: { cookie: "other=a.b.c" } }],
    ["the default places of others do not count", /^401 /, { headers: bearer(third.token()) }],
  ];
  for (const [what, expected, given] of cases) {
    const { status, body } = await ask(mesh, given);
    assert.match(`${status} ${body}`, expected, what);
  }
});

test("verified claims are where other filters read them, lists as lists; without a token there is nothing", async ({
  mesh,
}) => {
  const seen = async (given: Ask): Promise<string | undefined> => (await headersOf(mesh, given))["x-seen"];
  assert.is(await seen({}), "nothing");
  assert.is(
    await seen({ headers: bearer(first.token({ scope: "read write", roles: "a b" })) }),
    "https://first.example/alice [read,write] a b",
  );
  const token = second.token({ aud: "shop", scope: "read", roles: "a b", sub: "bob" });
  assert.is(await seen({ headers: { "x-token": `Token ${token}` } }), "https://second.example/bob [read] [a,b]");
});

test("two Authorization headers: the application never gets one that was not verified", async ({ mesh }) => {
  const [good, other, bad] = [first.token(), first.token({ sub: "bob" }), "a.b.c"];
  for (const [one, two] of [
    [good, bad],
    [bad, good],
    [good, other],
  ] as const) {
    const { body } = (
      await mesh.call("client", "tcp://server.two:80", {
        body: `GET / HTTP/1.1\r\nhost: server.two\r\nauthorization: Bearer ${one}\r\nauthorization: Bearer ${two}\r\nconnection: close\r\n\r\n`,
        untilClose: true,
      })
    )[0]!;
    assert.match(body, /^HTTP\/1\.1 (401|200)/);
    assert.not.match(body.toLowerCase(), '"authorization"');
    if (one === bad || two === bad) assert.match(body, /^HTTP\/1\.1 401/, body.slice(0, 200));
  }
});

test.run();
