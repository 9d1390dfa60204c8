import { rmSync } from "node:fs";
import { Server } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import { Server as HttpsServer } from "node:https";
import { connect, Server as TcpServer } from "node:net";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import type { ClientTlsSettings } from "../../../src/api/networking/client-tls.js";
import { dynamicDnsHttpFilter, dynamicDnsSniFilter } from "../../../src/compile/clusters/dynamic-dns.js";
import { endpoint } from "../../support/services.js";
import { createTestAuthority } from "../support/certificates.js";
import { proxiedOf, type Situation } from "../support/proxied.js";
import { exchange, get, listen, startNamed } from "../support/servers.js";
import { type StaticEnvoy, startStaticEnvoy } from "../support/static-envoy.js";

/** TLS, the PROXY protocol and tunnels on the wire, by a real Envoy against real servers. */
const authority = await createTestAuthority("test");
const stranger = await createTestAuthority("stranger");
const serverCertificate = await authority.issue("server", ["db.example.com"]);
const clientCertificate = await authority.issue("client", ["client.example.com"]);
const strangeCertificate = await stranger.issue("stranger", ["db.example.com"]);
const spiffe = "spiffe://cluster.local/ns/prod/sa/reviews";
const workload = await authority.issue("workload", [], spiffe);
const meshSecrets = { certificate: workload.certificate, key: workload.key, roots: authority.certificatePem };

const seen: { serverName: string; client: string; protocol: string }[] = [];
const note = (socket: TLSSocket): void => {
  seen.push({
    serverName: String(socket.servername || ""),
    client: socket.getPeerCertificate()?.subjectaltname ?? "",
    protocol: String(socket.alpnProtocol || ""),
  });
};
const last = () => seen.at(-1)!;

const httpsServer = async (certificate: { certificate: string; key: string }, options: object = {}) => {
  const server = new HttpsServer(
    { cert: certificate.certificate, key: certificate.key, ...options },
    (request, response) => {
      note(request.socket as TLSSocket);
      response.end("over TLS");
    },
  );
  return await listen(server as never);
};
const wantsClient = { requestCert: true, rejectUnauthorized: true, ca: [authority.certificatePem] };

const simple = await httpsServer(serverCertificate);
const mutual = await httpsServer(serverCertificate, wantsClient);
const strange = await httpsServer(strangeCertificate);
const inMesh = await httpsServer(workload, { ...wantsClient, ALPNProtocols: ["http/1.1"] });
const plain = await startNamed("plain");
const opaqueTls = await listen(
  createTlsServer({ cert: serverCertificate.certificate, key: serverCertificate.key }, (socket) => {
    note(socket);
    socket.end("opaque");
  }) as never,
);
const firstBytes: string[] = [];
const peeker = await listen(
  createTlsServer({ cert: workload.certificate, key: workload.key }, (socket) => {
    note(socket);
    socket.once("data", (chunk: Buffer) => {
      firstBytes.push(chunk.toString("latin1", 0, 3));
      socket.destroy();
    });
  }) as never,
);
const recorder = await listen(
  new TcpServer({ allowHalfOpen: true }, (socket) => {
    const received: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    socket.on("end", () => socket.end(Buffer.concat(received)));
  }),
);
const http2 = await listen(
  createHttp2Server((request, response) => response.end(`HTTP ${request.httpVersion}`)) as never,
);
const tunnels: string[] = [];
const tunnelServer = new Server((request, response) => {
  tunnels.push(`${request.method} ${request.headers.host}`);
  response.flushHeaders();
  request.on("data", (chunk: Buffer) => response.write(`through ${chunk}`));
  request.on("end", () => response.end());
});
tunnelServer.on("connect", (request, socket) => {
  tunnels.push(`${request.method} ${request.url}`);
  socket.write("HTTP/1.1 200 OK\r\n\r\n");
  socket.on("data", (chunk: Buffer) => socket.end(`through ${chunk}`));
});
const tunnel = await listen(tunnelServer);

const to = (port: number, fields = {}) => [endpoint("127.0.0.1", port, fields)];
const external = { isExternal: true, origin: "ServiceEntry" } as const;
const tcp = { protocol: "tcp" } as const;
const dynamic = { resolution: "dynamic-dns" } as const;
const trusted = { mode: "SIMPLE", caCertificates: authority.certificateFile } as const;
const own = { clientCertificate: clientCertificate.certificateFile, privateKey: clientCertificate.keyFile } as const;

const tls = (name: string, port: number, settings: ClientTlsSettings): Situation => ({
  name,
  endpoints: to(port),
  policy: { tls: settings },
  service: external,
});

const situations = {
  automaticName: tls("automatic-name", simple.port, trusted),
  fixedName: tls("fixed-name", simple.port, {
    ...trusted,
    sni: "other.example.com",
    subjectAltNames: ["db.example.com"],
  }),
  wrongName: tls("wrong-name", simple.port, { ...trusted, subjectAltNames: ["elsewhere.example.com"] }),
  entryNames: {
    ...tls("entry-names", simple.port, trusted),
    service: { ...external, subjectAltNames: ["elsewhere.example.com"] },
  },
  strange: tls("strange", strange.port, { ...trusted, subjectAltNames: ["db.example.com"] }),
  system: tls("system", simple.port, { mode: "SIMPLE", subjectAltNames: ["db.example.com"] }),
  unverified: tls("unverified", strange.port, { mode: "SIMPLE", insecureSkipVerify: true }),
  withoutClient: tls("without-client", mutual.port, { ...trusted, subjectAltNames: ["db.example.com"] }),
  mutual: tls("mutual", mutual.port, { ...trusted, ...own, mode: "MUTUAL", subjectAltNames: ["db.example.com"] }),
  disabled: tls("disabled", plain.port, { mode: "DISABLE" }),
  meshExplicit: {
    name: "mesh-explicit",
    endpoints: to(inMesh.port, { isInMesh: true, serviceAccount: "reviews" }),
    policy: { tls: { mode: "ISTIO_MUTUAL" } },
  },
  meshStranger: {
    name: "mesh-stranger",
    endpoints: to(inMesh.port, { isInMesh: true, serviceAccount: "other" }),
    policy: { tls: { mode: "ISTIO_MUTUAL" } },
  },
  meshNamed: {
    name: "mesh-named",
    endpoints: to(inMesh.port),
    policy: { tls: { mode: "ISTIO_MUTUAL", sni: "my-sni", subjectAltNames: [spiffe] } },
  },
  automatic: {
    name: "automatic",
    endpoints: [...to(inMesh.port, { isInMesh: true, serviceAccount: "reviews" }), ...to(plain.port)],
    policy: { loadBalancer: { simple: "ROUND_ROBIN" } },
  },
  opaque: { ...tls("opaque", opaqueTls.port, { mode: "SIMPLE", insecureSkipVerify: true }), port: tcp },
  opaqueNamed: {
    ...tls("opaque-named", opaqueTls.port, trusted),
    port: tcp,
    service: { ...external, host: "db.example.com" },
  },
  opaqueSystem: {
    ...tls("opaque-system", opaqueTls.port, { mode: "SIMPLE" }),
    port: tcp,
    service: { ...external, host: "db2.example.com" },
  },
  proxyV1: { name: "proxy-v1", endpoints: to(recorder.port), policy: { proxyProtocol: {} }, port: tcp },
  proxyV2: {
    name: "proxy-v2",
    endpoints: to(recorder.port),
    policy: { proxyProtocol: { version: "V2" } },
    port: tcp,
    service: external,
  },
  connect: {
    name: "connect",
    endpoints: to(tunnel.port),
    policy: { tunnel: { targetHost: "db.example.com", targetPort: 5432 } },
    port: tcp,
    service: external,
  },
  post: {
    name: "post",
    endpoints: to(tunnel.port),
    policy: { tunnel: { protocol: "POST", targetHost: "fd00::1", targetPort: 5432 } },
    port: tcp,
    service: external,
  },
  upgraded: {
    name: "upgraded",
    endpoints: to(http2.port),
    policy: { connectionPool: { http: { h2UpgradePolicy: "UPGRADE" } } },
    service: external,
  },
  clientProtocol: {
    name: "client-protocol",
    endpoints: to(peeker.port, { isInMesh: true, serviceAccount: "reviews" }),
    policy: { connectionPool: { http: { useClientProtocol: true } } },
  },
  dynamicHttp: { name: "dynamic-http", endpoints: [], policy: {}, service: { ...external, ...dynamic } },
  dynamicTls: { name: "dynamic-tls", endpoints: [], policy: {}, port: tcp, service: { ...external, ...dynamic } },
} satisfies Readonly<Record<string, Situation>>;

type Name = keyof typeof situations;
let envoy: StaticEnvoy;
const portOf = (name: Name): number => envoy.portOf(proxiedOf(situations[name] as Situation).cluster.name);
const ask = (name: Name, host = "db.example.com") => get(portOf(name), { host });

test.before(async () => {
  const proxied = Object.values(situations).map((situation: Situation) => ({
    ...proxiedOf(situation),
    ...(situation === situations.dynamicHttp
      ? { httpFilters: [dynamicDnsHttpFilter(undefined, defaultMeshConfig)] }
      : {}),
    ...(situation === situations.dynamicTls
      ? { sniFilters: [dynamicDnsSniFilter(opaqueTls.port, undefined, defaultMeshConfig)] }
      : {}),
  }));
  envoy = await startStaticEnvoy(proxied, meshSecrets);
});
test.after(async () => {
  await envoy?.stop();
  for (const server of [simple, mutual, strange, inMesh, plain, opaqueTls, peeker, recorder, tunnel, http2])
    await server.stop();
  for (const { folder } of [authority, stranger]) rmSync(folder, { recursive: true });
});

/** Envoy itself found the server's certificate wanting. */
const refused = async (name: Name, host?: string): Promise<void> => {
  const failures = async (): Promise<number> => {
    const { cluster } = proxiedOf(situations[name] as Situation);
    const counters = ["ssl.fail_verify_error", "ssl.fail_verify_san", "ssl.fail_verify_cert_hash"];
    const counts = await Promise.all(counters.map((counter) => envoy.stat(cluster.name, counter)));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  const before = await failures();
  assert.is((await ask(name, host)).status, 503, name);
  assert.ok((await failures()) > before, name);
};

test("SIMPLE takes the server's name from the request, in SNI and in what the certificate must be for", async () => {
  assert.is((await ask("automaticName")).body, "over TLS");
  assert.is(last().serverName, "db.example.com");
  assert.is(last().client, "", "no certificate of the client");
  await refused("automaticName", "elsewhere.example.com");
});

test("SIMPLE with names given", async () => {
  assert.is((await ask("fixedName", "anything")).body, "over TLS");
  assert.is(last().serverName, "other.example.com");
  await refused("wrongName");
  await refused("entryNames");
});

test("a server with a certificate of another authority is refused, unless not looked at", async () => {
  await refused("strange");
  await refused("system");
  assert.is((await ask("unverified")).body, "over TLS");
});

test("MUTUAL presents the client's certificate", async () => {
  assert.is((await ask("withoutClient")).status, 503);
  assert.is((await ask("mutual")).body, "over TLS");
  assert.is(last().client, "DNS:client.example.com");
});

test("DISABLE is plaintext", async () => {
  assert.is((await ask("disabled")).body, "plain");
});

test("ISTIO_MUTUAL presents the mesh's identity and accepts that of the endpoints alone", async () => {
  assert.is((await ask("meshExplicit")).body, "over TLS");
  assert.equal(last(), {
    serverName: "outbound_.80_._.mesh-explicit.prod.svc.cluster.local",
    client: `URI:${spiffe}`,
    protocol: "http/1.1",
  });
  await refused("meshStranger");
  assert.is((await ask("meshNamed")).body, "over TLS");
  assert.is(last().serverName, "my-sni");
});

test("without a rule, endpoints of the mesh get mutual TLS, others plaintext", async () => {
  const bodies = [(await ask("automatic")).body, (await ask("automatic")).body].sort();
  assert.equal(bodies, ["over TLS", "plain"]);
});

test("TLS over TCP names the ServiceEntry's host, and checks it with the system's authorities", async () => {
  assert.is(await exchange(portOf("opaque"), "x"), "opaque");
  assert.is(last().serverName, "opaque.prod.svc.cluster.local");
  assert.is(await exchange(portOf("opaqueNamed"), "x"), "opaque");
  assert.is(last().serverName, "db.example.com");
  const before = seen.length;
  assert.is(await exchange(portOf("opaqueSystem"), "x").catch(() => ""), "");
  assert.is(seen.length, before, "no handshake was finished");
});

test("the PROXY protocol comes first, as text or binary", async () => {
  const text = await exchange(portOf("proxyV1"), "hello");
  assert.match(text, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nhello$/);
  const binary = Buffer.from(await exchange(portOf("proxyV2"), "hello"), "latin1");
  assert.is(binary.subarray(0, 12).toString("hex"), "0d0a0d0a000d0a515549540a");
  assert.is(binary.subarray(-5).toString(), "hello");
});

/** Sends text and waits for an answer before it ends, as a tunnel needs. */
const converse = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port }, () => socket.write(text));
    socket.setTimeout(10_000, () => socket.destroy(new Error("no answer in 10 s")));
    socket.once("data", (chunk: Buffer) => {
      socket.destroy();
      resolve(chunk.toString());
    });
    socket.once("close", () => resolve(""));
    socket.once("error", reject);
  });

test("TCP goes through a tunnel by CONNECT or POST", async () => {
  assert.is(await converse(portOf("connect"), "hello"), "through hello");
  assert.is(tunnels.at(-1), "CONNECT db.example.com:5432");
  assert.is(await converse(portOf("post"), "hello"), "through hello");
  assert.is(tunnels.at(-1), "POST [fd00::1]:5432");
});

test("with useClientProtocol, mutual TLS leaves the HTTP version to the client's first bytes", async () => {
  await ask("clientProtocol");
  const session = connectHttp2(`http://127.0.0.1:${portOf("clientProtocol")}`);
  await new Promise((resolve) => session.request({ ":path": "/" }).on("response", resolve).end());
  session.close();
  assert.equal(firstBytes, ["GET", "PRI"]);
  assert.is(last().protocol, "", "none of the offered protocols names a version");
});

test("a wildcard host is resolved as the request or the handshake names it", async () => {
  assert.is((await ask("dynamicHttp", `localhost:${plain.port}`)).body, "plain");
  const options = { port: portOf("dynamicTls"), host: "127.0.0.1", servername: "localhost", rejectUnauthorized: false };
  const text = await new Promise((resolve, reject) => {
    const socket = connectTls(options);
    socket.on("data", (chunk: Buffer) => resolve(chunk.toString()));
    socket.on("error", reject);
  });
  assert.is(text, "opaque");
  assert.is(last().serverName, "localhost");
});

test("an upgraded cluster speaks HTTP/2 to the endpoint", async () => {
  assert.is((await ask("upgraded")).body, "HTTP 2.0");
});

test.run();
