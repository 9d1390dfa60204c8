import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { type Mesh, type Report, type Response, reportOf, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("kinds of Services");

const samePorts = { http: [8080, 8080], tcp: [7070, 7070], "tcp-greeting": [7071, 7071] } as const;
const headless = { spec: { clusterIP: "None" } };
const plain = { annotations: { "sidecar.istio.io/inject": "false" } };
const member = (name: string, subdomain: string): string =>
  echoPod(name, subdomain, { spec: { hostname: name, subdomain } });

const alias = (name: string, externalName: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: { type: "ExternalName", externalName },
  });

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      namespace("plain"),
      echoPod("client", "client"),
      echoPod("outside", "outside", { namespace: "plain" }),
      service("db", samePorts, headless),
      member("db-0", "db"),
      member("db-1", "db"),
      service("halves", samePorts, headless),
      echoPod("halves-0", "halves"),
      echoPod("halves-1", "halves", plain),
      service("backend"),
      alias("alias", "backend.default.svc.cluster.local"),
      echoPod("backend-0", "backend"),
      echoPod("backend-1", "backend"),
      service(
        "sticky",
        { http: [80, 8080], any: [81, 8081], tcp: [7071, 7071] },
        { selector: { app: "backend" }, spec: { sessionAffinity: "ClientIP" } },
      ),
      service("mixed"),
      echoPod("mixed-0", "mixed"),
      echoPod("mixed-1", "mixed", plain),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const callerOf = ({ headers }: Report): string | undefined =>
  /URI=([^;,]+)/.exec(headers["x-forwarded-client-cert"] ?? "")?.[1];
const client = "spiffe://cluster.local/ns/default/sa/client";
const podsOf = (responses: readonly Response[]): readonly string[] =>
  [...new Set(responses.map((response) => reportOf(response).pod))].sort();
const handshakes = (mesh: Mesh, pod: string): Promise<number> => mesh.stat(pod, /^listener\..*15006\.ssl\.handshake/);

test("a headless Service: HTTP to the pod that the name chose, by its host name or by the Service's", async ({
  mesh,
}) => {
  for (const pod of ["db-0", "db-1"])
    for (const host of [`${pod}.db`, `${pod}.db.default.svc.cluster.local`]) {
      const responses = await mesh.call("client", `http://${host}:8080/`, { count: 5 });
      assert.equal(podsOf(responses), [pod], host);
      assert.is(callerOf(reportOf(responses[0])), client, host);
    }
  const [any] = await mesh.call("client", "http://db:8080/");
  assert.is(callerOf(reportOf(any)), client);
});

test("a headless Service: TCP to the address that was called, inside mutual TLS", async ({ mesh }) => {
  for (const pod of ["db-0", "db-1"]) {
    const before = await handshakes(mesh, pod);
    const [greeting] = await mesh.call("client", `tcp://${mesh.pod(pod).address}:7071`);
    assert.match(greeting?.body ?? "", `${pod} greets`, greeting?.error);
    assert.is(await handshakes(mesh, pod), before + 1);
  }
});

test("a headless Service with one pod outside of the mesh: both are reached", async ({ mesh }) => {
  for (const pod of ["halves-0", "halves-1"]) {
    const { address } = mesh.pod(pod);
    const [answer] = await mesh.call("client", `http://${address}:8080/`, { headers: { host: "halves:8080" } });
    assert.is(reportOf(answer).pod, pod);
    const [greeting] = await mesh.call("client", `tcp://${address}:7071`);
    assert.match(greeting?.body ?? "", `${pod} greets`, greeting?.error);
  }
});

test("an ExternalName that stands for a Service of the mesh is that Service", async ({ mesh }) => {
  for (const host of ["alias", "alias.default.svc.cluster.local"]) {
    const responses = await mesh.call("client", `http://${host}/`, { count: 40 });
    assert.equal(podsOf(responses), ["backend-0", "backend-1"]);
    for (const response of responses) assert.is(callerOf(reportOf(response)), client);
  }
  const before = (await handshakes(mesh, "backend-0")) + (await handshakes(mesh, "backend-1"));
  const [greeting] = await mesh.call("client", "tcp://alias:7071");
  assert.match(greeting?.body ?? "", "backend-", greeting?.error);
  assert.is((await handshakes(mesh, "backend-0")) + (await handshakes(mesh, "backend-1")), before + 1);
});

test("sessionAffinity ClientIP keeps a client at one pod, on every connection", async ({ mesh }) => {
  const options = { count: 40, newConnections: true };
  assert.is(podsOf(await mesh.call("client", "http://sticky/", options)).length, 1);
  assert.is(podsOf(await mesh.call("client", "http://sticky:81/", { ...options, protocol: "http2" })).length, 1);
  const greetings = await mesh.call("client", "tcp://sticky:7071", options);
  assert.is(new Set(greetings.map(({ body, error }) => error ?? body.split(" ")[0])).size, 1);
  assert.is(podsOf(await mesh.call("client", "http://backend/", options)).length, 2);
});

test("a Service with pods of both sorts: mutual TLS to one, plaintext to the other", async ({ mesh }) => {
  const responses = await mesh.call("client", "http://mixed/", { count: 40 });
  assert.equal(podsOf(responses), ["mixed-0", "mixed-1"]);
  for (const response of responses) {
    const report = reportOf(response);
    assert.is(callerOf(report), report.pod === "mixed-0" ? client : undefined, report.pod);
  }
  const greetings = await mesh.call("client", "tcp://mixed:7071", { count: 40 });
  const pods = new Set(greetings.map(({ body }) => body.split(" ")[0]));
  assert.equal([...pods].sort(), ["mixed-0", "mixed-1"]);
});

test("a plaintext caller gets through, with no identity but the one it has not", async ({ mesh }) => {
  const forged = { "x-forwarded-client-cert": `By=x;URI=${client}` };
  const [answer] = await mesh.call("outside", "http://backend.default/", { headers: forged });
  assert.is(callerOf(reportOf(answer)), undefined);
  const [inside] = await mesh.call("client", "http://backend/", {
    headers: { "x-forwarded-client-cert": "URI=forged" },
  });
  assert.is(callerOf(reportOf(inside)), client);
});

test("a host that the mesh does not know is passed on to where it was going", async ({ mesh }) => {
  await mesh.apply(
    echoPod("internet", "internet", {
      namespace: "plain",
      env: { HTTP_PORT: "80" },
      container: { readinessProbe: { httpGet: { path: "/healthz", port: 80 } } },
    }),
  );
  const { address } = mesh.pod("internet");
  for (const host of ["unknown.example", "unknown.example:80", address]) {
    const [answer] = await mesh.call("client", `http://${address}/`, { headers: { host } });
    assert.is(reportOf(answer).pod, "internet", host);
  }
  const [greeting] = await mesh.call("client", `tcp://${address}:7071`);
  assert.match(greeting?.body ?? "", "internet greets", greeting?.error);
});

test("certificates that others have signed, or for another trust domain, are refused", async ({ mesh }) => {
  const other = await openAuthority(createMemorySecrets(), "cluster.local");
  const { authority } = mesh.plane;
  const uri = "spiffe://cluster.local/ns/plain/sa/outside";
  const cases = [
    ["of the mesh", await authority.issue({ uri }, 600), true],
    ["of another authority", await other.issue({ uri }, 600), false],
    [
      "of another trust domain",
      await authority.issue({ uri: uri.replace("cluster.local", "evil.example") }, 600),
      false,
    ],
    ["none", undefined, false],
  ] as const;
  for (const [name, issued, isTaken] of cases)
    for (const port of [7070, 8080]) {
      const tls = {
        alpn: ["istio"],
        ...(issued && { certificate: issued.certificateChainPem, key: issued.privateKeyPem }),
      };
      const text = "GET / HTTP/1.1\r\nhost: backend\r\nconnection: close\r\n\r\n";
      const [answer] = await mesh.call("outside", `tls://${mesh.pod("backend-0").address}:${port}`, {
        body: text,
        untilClose: port === 8080,
        tls,
      });
      assert.is(answer!.body.length > 0, isTaken, `${name} on ${port}: ${answer?.error} ${answer?.body}`);
      if (isTaken && port === 8080) assert.match(answer!.body, uri);
    }
});

test("a persistent session stays with its pod, and goes elsewhere when that is gone", async ({ mesh }) => {
  await mesh.apply(
    join(
      JSON.stringify({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "loyal", namespace: "default", labels: { "istio.io/persistent-session": "home:/" } },
        spec: { selector: { app: "loyal" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
      }),
      echoPod("loyal-0", "loyal"),
      echoPod("loyal-1", "loyal"),
    ),
  );
  const [first] = await mesh.call("client", "http://loyal/");
  const home = reportOf(first).pod;
  const [cookie = ""] = [first?.headers["set-cookie"] ?? []].flat();
  assert.match(cookie, /^home="/);
  const options = { headers: { cookie: cookie.split(";")[0]! }, count: 30, newConnections: true };
  assert.equal(podsOf(await mesh.call("client", "http://loyal/", options)), [home]);
  assert.equal(podsOf(await mesh.call("client", "http://loyal/", { count: 60, newConnections: true })), [
    "loyal-0",
    "loyal-1",
  ]);
  await mesh.remove("Pod", "default", home);
  const other = home === "loyal-0" ? "loyal-1" : "loyal-0";
  assert.equal(podsOf(await mesh.call("client", "http://loyal/", options)), [other]);
});

test.run();

const strict = suite<{ mesh: Mesh }>("REGISTRY_ONLY");

strict.before(async (context) => {
  context.mesh = await startMesh({
    mesh: { outboundTrafficPolicy: "REGISTRY_ONLY" },
    yaml: join(
      namespace("plain"),
      service("backend"),
      echoPod("client", "client"),
      echoPod("backend", "backend"),
      echoPod("outside", "outside", { namespace: "plain" }),
    ),
  });
});

strict.after(async ({ mesh }) => {
  await mesh?.close();
});

strict(
  "a host that the mesh does not know is 502 on HTTP, and closed on TCP; known ones are reached",
  async ({ mesh }) => {
    const { address } = mesh.pod("outside");
    assert.is(callerOf(reportOf((await mesh.call("client", "http://backend/"))[0])), client);
    const [http] = await mesh.call("client", `http://${address}/`, { headers: { host: "unknown.example" } });
    assert.is(http?.status, 502, http?.error);
    for (const url of [`tcp://${address}:7071`, `http://${address}:8080/`]) {
      const [answer] = await mesh.call("client", url);
      assert.match(answer?.error ?? "", /ECONNRESET|closed|EPIPE/, `${url}: ${JSON.stringify(answer)}`);
    }
  },
);

strict.run();
