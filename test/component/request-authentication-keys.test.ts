import { suite } from "uvu";
import * as assert from "uvu/assert";
import { createIssuer } from "./support/json-web-tokens.js";
import { type KeyServer, startKeyServer } from "./support/key-server.js";
import { echoPod, join, service } from "./support/manifests.js";
import { eventually, type Mesh, startMesh } from "./support/mesh.js";

/** Keys that are fetched from a real server, which changes them, fails, hangs and answers nonsense. */
const test = suite<{ mesh: Mesh; keys: KeyServer }>("keys of token issuers");

const policy = (name: string, jwtRules: readonly object[]): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "RequestAuthentication",
    metadata: { name, namespace: "default" },
    spec: { selector: { matchLabels: { app: "server" } }, jwtRules },
  });

test.before(async (context) => {
  context.keys = await startKeyServer();
  context.mesh = await startMesh({
    yaml: join(echoPod("client", "client"), service("server", { http: [80, 8080] }), echoPod("server", "server")),
    issuerKeys: { refreshMilliseconds: 200, retryMilliseconds: 100, authoritiesPem: context.keys.certificatePem },
  });
});

test.after(async ({ mesh, keys }) => {
  await mesh?.close();
  await keys?.close();
});

const statusOf = async (mesh: Mesh, token?: string): Promise<number> =>
  (
    await mesh.call("client", "http://server/", {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    })
  )[0]!.status;
const comes = (mesh: Mesh, status: number, token: string, what: string): Promise<void> =>
  eventually(`${what}: ${status}`, async () => (await statusOf(mesh, token)) === status, 30);
const keysCondition = (mesh: Mesh, name: string): string =>
  mesh.conditions("RequestAuthentication", "default", name).find((text) => text.startsWith("KeysAvailable")) ?? "none";
const tells = (mesh: Mesh, name: string, words: RegExp): Promise<void> =>
  eventually(
    `the status says ${words}`,
    async () => words.test(keysCondition(mesh, name)) || keysCondition(mesh, name),
    30,
  );

const old = createIssuer("https://issuer.example", "old");
const next = createIssuer("https://issuer.example", "next", "ES256");

test("without keys tokens are refused and the status says why; keys that come are taken; nothing is restarted", async ({
  mesh,
  keys,
}) => {
  const drains = () => mesh.stat("server", /^listener_manager\.listener_(modified|removed|in_place_updated)/);
  const before = await drains();
  keys.serve("/keys", { status: 500, body: "secret words" });
  await mesh.apply(policy("a", [{ issuer: old.name, jwksUri: `${keys.url}/keys` }]));
  await tells(
    mesh,
    "a",
    /^KeysAvailable False Missing: spec\.jwtRules\[0\]\.jwksUri: .*refused: the host does not answer/,
  );
  assert.not.match(keysCondition(mesh, "a"), /secret|500/, "nothing of the answer is told");
  assert.is(await statusOf(mesh, old.token()), 401);
  assert.is(await statusOf(mesh), 200, "without a token");
  keys.serve("/keys", { body: old.jwks });
  await comes(mesh, 200, old.token(), "the first keys");
  await tells(mesh, "a", /^KeysAvailable True Fetched/);
  assert.is(await statusOf(mesh, next.token()), 401);
  keys.serve("/keys", { body: JSON.stringify({ keys: [old.key, next.key] }) });
  await comes(mesh, 200, next.token(), "a further key");
  assert.is(await statusOf(mesh, old.token()), 200);
  keys.serve("/keys", { body: next.jwks });
  await comes(mesh, 401, old.token(), "a key is withdrawn");
  assert.is(await statusOf(mesh, next.token()), 200);
  assert.is(await drains(), before, "listeners were changed");
});

test("the last good keys stay through failures of every kind, and the status tells of them", async ({ mesh, keys }) => {
  const bad: readonly (readonly [what: string, answer: Parameters<KeyServer["serve"]>[1], words: RegExp])[] = [
    ["an error", { status: 503 }, /does not answer with status 200/],
    ["no answer", "hang", /not there after 0\.5s/],
    ["garbage", { body: "<html>secret words" }, /no JSON Web Key Set/],
    ["another JSON", { body: '{"error": "secret words"}' }, /no JSON Web Key Set/],
    ["no key", { body: '{"keys": []}' }, /no public key that can be used/],
    ["a secret key", { body: '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}' }, /no public key that can be used/],
    ["ten megabytes", { body: `{"keys": [], "pad": "${"x".repeat(10_000_000)}"}` }, /longer than a mebibyte/],
    ["a redirect", { status: 302, headers: { location: `${keys.url}/keys` } }, /sends on to another address/],
  ];
  await mesh.apply(policy("a", [{ issuer: next.name, jwksUri: `${keys.url}/keys`, timeout: "500ms" }]));
  for (const [what, answer, words] of bad) {
    keys.serve("/keys", answer);
    await tells(mesh, "a", words);
    assert.match(keysCondition(mesh, "a"), /^KeysAvailable True Stale/, what);
    assert.not.match(keysCondition(mesh, "a"), /secret words/, what);
    assert.is(await statusOf(mesh, next.token()), 200, what);
  }
  keys.serve("/keys", { body: next.jwks });
  await tells(mesh, "a", /^KeysAvailable True Fetched/);
  await mesh.apply(policy("a", [{ issuer: next.name, jwksUri: `${keys.url}/keys`, audiences: ["shop"] }]));
  await comes(mesh, 200, next.token({ aud: "shop" }), "an edited policy has its keys");
});

test("one fetch serves all policies of a source, with what it knows; it ends with the last of them", async ({
  mesh,
  keys,
}) => {
  keys.serve("/shared", { body: old.jwks, headers: { etag: '"1"' } });
  await mesh.apply(policy("b", [{ issuer: old.name, jwksUri: `${keys.url}/shared` }]));
  await mesh.apply(policy("c", [{ issuer: "other", jwksUri: `${keys.url}/shared` }]));
  await comes(mesh, 200, old.token(), "shared keys");
  await mesh.remove("RequestAuthentication", "default", "c");
  const count = keys.asked("/shared");
  await eventually("it is asked again", async () => keys.asked("/shared") > count + 2);
  assert.is(await statusOf(mesh, old.token()), 200, "answers without content change nothing");
  await mesh.remove("RequestAuthentication", "default", "b");
  const last = keys.asked("/shared");
  const others = keys.asked("/keys");
  await eventually("others are asked", async () => keys.asked("/keys") > others + 5);
  assert.ok(keys.asked("/shared") <= last + 1, "nobody wants it any more");
});

test("without jwksUri the issuer's OpenID configuration tells, if it is that of the issuer", async ({ mesh, keys }) => {
  const issuer = createIssuer(`${keys.url}/tenant`);
  const configuration = { issuer: issuer.name, jwks_uri: `${keys.url}/tenant/keys` };
  keys.serve("/tenant/.well-known/openid-configuration", { body: JSON.stringify({ ...configuration, issuer: "x" }) });
  keys.serve("/tenant/keys", { body: issuer.jwks });
  await mesh.apply(policy("d", [{ issuer: issuer.name }]));
  await tells(mesh, "d", /^KeysAvailable False Missing: spec\.jwtRules\[0\]\.issuer: .* that of another issuer/);
  assert.is(await statusOf(mesh, issuer.token()), 401);
  keys.serve("/tenant/.well-known/openid-configuration", { body: JSON.stringify(configuration) });
  await comes(mesh, 200, issuer.token(), "discovered keys");
});

test("a host that is not there, or whose certificate nobody vouches for, gives no keys", async ({ mesh, keys }) => {
  await mesh.apply(policy("e", [{ issuer: "e", jwksUri: "https://localhost.localdomain.invalid/keys" }]));
  await tells(mesh, "e", /cannot be resolved/);
  await mesh.apply(policy("e", [{ issuer: "e", jwksUri: `http://${new URL(keys.url).host}/keys` }]));
  await tells(mesh, "e", /no answer could be had/);
  const stranger = await startKeyServer();
  try {
    stranger.serve("/keys", { body: old.jwks });
    await mesh.apply(policy("e", [{ issuer: "e", jwksUri: `${stranger.url}/keys` }]));
    await tells(mesh, "e", /certificate is not trusted/);
  } finally {
    await stranger.close();
  }
  assert.is(stranger.asked("/keys"), 0);
});

test.run();
