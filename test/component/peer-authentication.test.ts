import { X509Certificate } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { echoPod, join, namespace, service } from "./support/manifests.js";
import { eventually, type Mesh, type Response, reportOf, startMesh } from "./support/mesh.js";

const test = suite<{ mesh: Mesh }>("PeerAuthentication");

const policy = (home: string, name: string, spec: object): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1beta1",
    kind: "PeerAuthentication",
    metadata: { name, namespace: home },
    spec,
  });
const modeOf = (home: string, mode: string): string => policy(home, "default", { mtls: { mode } });

const rule = (home: string, mode: string): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name: `server-${home}`, namespace: "default" },
    spec: { host: `server.${home}.svc.cluster.local`, trafficPolicy: { tls: { mode } } },
  });

/** 7070 of the application is in no Service; 8081 is, without a protocol. */
const ports = { http: [80, 8080], any: [81, 8081], tcp: [7071, 7071] } as const;
const samePorts = { http: [8080, 8080], any: [8081, 8081], tcp: [7071, 7071] } as const;
const headless = { spec: { clusterIP: "None" } };
const server = (home: string): string =>
  join(service("server", ports, { namespace: home }), echoPod("server", "server", { namespace: home }));

test.before(async (context) => {
  context.mesh = await startMesh({
    yaml: join(
      namespace("plain"),
      echoPod("outside", "outside", { namespace: "plain" }),
      echoPod("client", "client"),
      modeOf("strict", "STRICT"),
      server("strict"),
      service("db", samePorts, { namespace: "strict", ...headless }),
      echoPod("db-0", "db", { namespace: "strict", spec: { hostname: "db-0", subdomain: "db" } }),
      modeOf("disabled", "DISABLE"),
      server("disabled"),
      server("moving"),
      modeOf("mixed", "STRICT"),
      server("mixed"),
      policy("mixed", "server", {
        selector: { matchLabels: { app: "server" } },
        portLevelMtls: { 8080: { mode: "PERMISSIVE" }, 7071: { mode: "DISABLE" }, 7070: { mode: "DISABLE" } },
      }),
    ),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

const caller = "URI=spiffe://cluster.local/ns/default/sa/client";
const xfccOf = (response: Response | undefined): string => reportOf(response).headers["x-forwarded-client-cert"] ?? "";
const handshakes = (mesh: Mesh, pod: string): Promise<number> => mesh.stat(pod, /^listener\..*15006\.ssl\.handshake/);
const one = async (mesh: Mesh, ...call: Parameters<Mesh["call"]>): Promise<Response> => (await mesh.call(...call))[0]!;

const refused = ({ status, body, error }: Response, what: string): void => {
  assert.is(`${status} ${body}`, "0 ", `${what} was answered`);
  assert.not.match(error ?? "", "timeout", `${what} was left waiting`);
};

test("STRICT closes plaintext unanswered: HTTP, TCP, undeclared ports, ports in no Service, headless Services", async ({
  mesh,
}) => {
  const { address } = mesh.pod("strict/server");
  for (const url of [
    "http://server.strict/",
    "http://server.strict:81/",
    `http://${address}:8080/`,
    `http://${address}:9090/`,
    "tcp://server.strict:7071",
    `tcp://${address}:7070`,
    "http://db-0.db.strict:8080/",
    "tcp://db.strict:7071",
  ])
    refused(await one(mesh, "outside", url, url.startsWith("tcp") ? { body: "hello" } : {}), url);
  refused(await one(mesh, "outside", "http://server.strict:81/", { protocol: "http2" }), "HTTP/2");
  refused(await one(mesh, "outside", "tcp://server.strict:7071"), "a silent client");
  // Its proxy knows of no Service there, so it sends what it was given.
  refused(await one(mesh, "client", `tcp://${address}:7070`, { body: "hello" }), "a port in no Service");
});

test("STRICT takes callers of the mesh: HTTP, TCP, undeclared ports, headless Services", async ({ mesh }) => {
  for (const url of ["http://server.strict/", "http://server.strict:81/", "http://db-0.db.strict:8080/"])
    assert.match(
      xfccOf(await one(mesh, "client", url, { protocol: url.includes(":81") ? "http2" : "http1" })),
      caller,
      url,
    );
  for (const [pod, url] of [
    ["strict/server", "tcp://server.strict:7071"],
    ["strict/db-0", "tcp://db.strict:7071"],
  ] as const) {
    const before = await handshakes(mesh, pod);
    const greeting = await one(mesh, "client", url);
    assert.match(greeting.body, " greets", greeting.error);
    assert.is(await handshakes(mesh, pod), before + 1);
  }
});

/** What each mode makes of a client on a raw socket; the application answers only what it understands. */
const taken = {
  strict: ["mesh certificate", "mesh certificate without ALPN"],
  moving: ["plaintext", "mesh certificate"],
  disabled: ["plaintext"],
} as const;

test("clients of every kind, by mode and protocol: certificates of the mesh alone are taken as mutual TLS", async ({
  mesh,
}) => {
  const other = await openAuthority(createMemorySecrets(), "cluster.local");
  const { authority } = mesh.plane;
  const uri = "spiffe://cluster.local/ns/plain/sa/outside";
  const own = await authority.issue({ uri }, 600);
  const expired = await authority.issue({ uri }, 1);
  const elsewhere = await authority.issue({ uri: uri.replace("cluster.local", "evil.example") }, 600);
  const end = new X509Certificate(expired.certificateChainPem).validToDate.getTime();
  await eventually("a certificate has expired", async () => Date.now() > end);
  const meshAlpn = { 8080: ["istio-http/1.1"], 7071: ["istio"], 7070: ["istio"] } as const;
  type Certificate = typeof own;
  const clients: readonly (readonly [
    name: string,
    secure: boolean,
    certificate?: Certificate | undefined,
    hasAlpn?: boolean,
  ])[] = [
    ["plaintext", false],
    ["TLS without a certificate", true],
    ["mesh ALPN without a certificate", true, undefined, true],
    ["mesh certificate", true, own, true],
    ["mesh certificate without ALPN", true, own],
    ["expired certificate", true, expired, true],
    ["certificate of another trust domain", true, elsewhere, true],
    ["certificate of another trust domain without ALPN", true, elsewhere],
    ["certificate of another authority", true, await other.issue({ uri }, 600), true],
  ];
  const http = "GET / HTTP/1.1\r\nhost: server\r\nconnection: close\r\n\r\n";
  for (const home of Object.keys(taken) as (keyof typeof taken)[])
    for (const [name, isSecure, certificate, hasAlpn] of clients)
      for (const port of [8080, 7071, 7070] as const) {
        const { body, error } = await one(
          mesh,
          "outside",
          `${isSecure ? "tls" : "tcp"}://${mesh.pod(`${home}/server`).address}:${port}`,
          {
            body: port === 8080 ? http : port === 7070 ? "hello" : "",
            untilClose: port === 8080,
            tls: {
              ...(hasAlpn && { alpn: meshAlpn[port] }),
              ...(certificate && { certificate: certificate.certificateChainPem, key: certificate.privateKeyPem }),
            },
          },
        );
        const answer = { 8080: " 200 OK", 7071: "server greets", 7070: "hello" }[port];
        const what = `${home}, ${name}, port ${port}: ${error} ${body}`;
        assert.is(body.includes(answer), (taken[home] as readonly string[]).includes(name), what);
        assert.not.match(error ?? "", "timeout", what);
        if (port === 8080 && body.includes(answer)) assert.is(body.includes(uri), certificate !== undefined, what);
      }
});

test("probes, readiness and metrics are answered under STRICT", async ({ mesh }) => {
  const { address, pod } = mesh.pod("strict/server");
  const probe = pod.spec?.containers.find(({ name }) => name === "echo")?.readinessProbe?.httpGet;
  for (const url of [
    `http://${address}:${probe?.port}${probe?.path}`,
    `http://${address}:15021/healthz/ready`,
    `http://${address}:15090/stats/prometheus`,
  ])
    assert.is((await one(mesh, "outside", url)).status, 200, url);
});

test("DISABLE takes plaintext alone, from everyone, and keeps no server waiting that speaks first", async ({
  mesh,
}) => {
  for (const pod of ["client", "outside"]) {
    for (const url of ["http://server.disabled/", "http://server.disabled:81/"]) {
      const answer = await one(mesh, pod, url, { protocol: url.endsWith(":81/") ? "http2" : "http1" });
      assert.is(xfccOf(answer), "", `${pod} ${url}`);
    }
    const greeting = await one(mesh, pod, "tcp://server.disabled:7071");
    assert.match(greeting.body, "server greets", greeting.error);
  }
  const greeting = await one(mesh, "outside", "tcp://server.disabled:7071");
  assert.ok(greeting.milliseconds < 700, `the greeting took ${greeting.milliseconds} ms`);
  assert.is(await handshakes(mesh, "disabled/server"), 0);
});

test("a port's own mode holds for that port: permissive and plaintext within STRICT", async ({ mesh }) => {
  assert.is(xfccOf(await one(mesh, "outside", "http://server.mixed/")), "");
  assert.match(xfccOf(await one(mesh, "client", "http://server.mixed/")), caller);
  refused(await one(mesh, "outside", "http://server.mixed:81/"), "another port");
  assert.match(xfccOf(await one(mesh, "client", "http://server.mixed:81/", { protocol: "http2" })), caller);
  for (const pod of ["client", "outside"]) {
    const greeting = await one(mesh, pod, "tcp://server.mixed:7071");
    assert.match(greeting.body, "server greets", greeting.error);
    const { address } = mesh.pod("mixed/server");
    assert.is((await one(mesh, pod, `tcp://${address}:7070`, { body: "hello" })).body, "hello");
  }
});

test("a DestinationRule that sends plaintext to STRICT fails, and mutual TLS to DISABLE too", async ({ mesh }) => {
  await mesh.apply(join(rule("strict", "DISABLE"), rule("disabled", "ISTIO_MUTUAL")));
  for (const home of ["strict", "disabled"]) {
    assert.is((await one(mesh, "client", `http://server.${home}/`)).status, 503, home);
    assert.is((await one(mesh, "client", `tcp://server.${home}:7071`)).body, "", home);
  }
  for (const home of ["strict", "disabled"]) await mesh.remove("DestinationRule", "default", `server-${home}`);
  assert.match(xfccOf(await one(mesh, "client", "http://server.strict/")), caller);
  assert.is(xfccOf(await one(mesh, "client", "http://server.disabled/")), "");
});

/** Calls from within the mesh go on meanwhile, over old and new connections; `more` waits for further ones. */
const underLoad = async (mesh: Mesh, steps: (more: () => Promise<void>) => Promise<void>): Promise<void> => {
  const counts = { http: 0, other: 0 };
  const losses: string[] = [];
  let isOver = false;
  const load = async (url: string, options: Parameters<Mesh["call"]>[2]): Promise<void> => {
    while (!isOver)
      for (const { status, body, error } of await mesh.call("client", url, { count: 50, concurrency: 4, ...options })) {
        counts[status === 200 ? "http" : "other"] += 1;
        if (status !== 200 && !(url.startsWith("tcp:") && body.includes("greets")))
          losses.push(`${url}: ${status} ${error ?? body}`);
      }
  };
  const loads = [
    load("http://server.moving/", {}),
    load("http://server.moving/", { newConnections: true }),
    load("http://server.moving:81/", { protocol: "http2" }),
    load("tcp://server.moving:7071", {}),
  ];
  const more = async (): Promise<void> => {
    const { http, other } = counts;
    await eventually("more was sent", async () => counts.http > http + 200 && counts.other > other + 50, 30);
  };
  try {
    await more();
    await steps(more);
    await more();
  } finally {
    isOver = true;
    await Promise.all(loads);
  }
  assert.equal(losses, []);
};

test("a namespace that goes from PERMISSIVE to STRICT and back under load loses nothing of the mesh's traffic", async ({
  mesh,
}) => {
  const statusOutside = async (): Promise<number> => (await one(mesh, "outside", "http://server.moving/")).status;
  await underLoad(mesh, async (more) => {
    assert.is(await statusOutside(), 200);
    await mesh.apply(modeOf("moving", "STRICT"));
    await eventually("plaintext is refused", async () => (await statusOutside()) === 0);
    await more();
    await mesh.apply(modeOf("moving", "PERMISSIVE"));
    await eventually("plaintext is taken", async () => (await statusOutside()) === 200);
  });
});

test("open connections: those in mutual TLS outlast a move to STRICT, those in plaintext end with the drain", async ({
  mesh,
}) => {
  await mesh.apply(
    join(
      service("held", { tcp: [7070, 7070] }, { namespace: "moving" }),
      echoPod("held", "held", {
        namespace: "moving",
        annotations: { "proxy.istio.io/config": JSON.stringify({ drainDuration: "2s" }) },
      }),
      policy("moving", "held", { selector: { matchLabels: { app: "held" } }, mtls: { mode: "PERMISSIVE" } }),
    ),
  );
  const connected = async (): Promise<number> =>
    (await mesh.exec("held", "ss", "-Htn", "state", "established", "sport", "=", ":7070")).trim().split("\n").length;
  // Neither side says anything after the first word: who is left alone gives up after these eight seconds.
  const hold = (pod: string) =>
    one(mesh, pod, "tcp://held.moving:7070", { body: "hello", untilClose: true, timeoutMilliseconds: 8000 });
  const held = [hold("client"), hold("outside")];
  await eventually("both are connected", async () => (await connected()) === 2);
  await mesh.apply(policy("moving", "held", { selector: { matchLabels: { app: "held" } }, mtls: { mode: "STRICT" } }));
  const [inMesh, outside] = await Promise.all(held);
  for (const answer of [inMesh, outside]) assert.is(answer!.body, "hello");
  assert.is(inMesh!.error, "timeout", `in mutual TLS, closed after ${inMesh!.milliseconds} ms`);
  assert.is.not(outside!.error, "timeout", "plaintext");
});

test("a namespace goes to DISABLE and back without loss, if clients send plaintext first", async ({ mesh }) => {
  await underLoad(mesh, async (more) => {
    await mesh.apply(rule("moving", "DISABLE"));
    await more();
    await mesh.apply(modeOf("moving", "DISABLE"));
    await more();
    assert.is(xfccOf(await one(mesh, "client", "http://server.moving/")), "");
    await mesh.apply(modeOf("moving", "PERMISSIVE"));
    await mesh.remove("DestinationRule", "default", "server-moving");
    await more();
    assert.match(xfccOf(await one(mesh, "client", "http://server.moving/")), caller);
  });
});

test.run();
