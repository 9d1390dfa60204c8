import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { startAdmissionServer } from "../../src/admission/server.js";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { startXdsServer } from "../../src/serve/server.js";
import { echoPod, join as joined, namespace, service } from "./support/manifests.js";
import { type Mesh, startMesh } from "./support/mesh.js";

/** What OpenSSL's client can agree on with each of the mesh's TLS servers. */
const weak: readonly (readonly [name: string, options: readonly string[]])[] = [
  ["TLS 1.1", ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]],
  ["CBC", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384@SECLEVEL=0"]],
  ["RSA key exchange", ["-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-GCM-SHA384@SECLEVEL=0"]],
  ["finite-field DH", ["-tls1_2", "-cipher", "DHE-RSA-AES128-GCM-SHA256@SECLEVEL=0"]],
];
const strong: readonly (readonly [name: string, options: readonly string[]])[] = [
  ["TLSv1.3", ["-tls1_3"]],
  ["TLSv1.2", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]],
];

const alert = /alert (protocol version|handshake failure)|alert number (40|70)|no protocols available|EOF/;

const verify = async (what: string, dial: (options: readonly string[]) => Promise<string>): Promise<void> => {
  for (const [version, options] of strong)
    assert.match(await dial(options), `Protocol version: ${version}`, `${what}, ${version}`);
  for (const [name, options] of weak) {
    const said = await dial(options);
    assert.not.match(said, "Protocol version:", `${what} agreed on ${name}`);
    assert.match(said, alert, `${what}, ${name}`);
  }
};

const clientOf = (address: string, options: readonly string[]): readonly string[] => [
  ...["openssl", "s_client", "-brief", "-connect", address],
  ...options,
];

const dialFrom = (words: readonly string[]): Promise<string> =>
  new Promise((resolve) => {
    const child = spawn(words[0]!, words.slice(1), { stdio: ["ignore", "pipe", "pipe"], timeout: 20_000 });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk: Buffer) => {
        said += chunk.toString();
      });
    child.on("close", () => resolve(said));
  });

const test = suite<{ mesh: Mesh; folder: string }>("TLS");

test("the ports of heddled take TLS 1.2 and 1.3, with ephemeral keys and authenticated encryption, also after a rotation", async () => {
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  const certificate = await authority.issue({ dnsNames: ["localhost"] }, 3600);
  const xds = await startXdsServer({
    ...{ host: "127.0.0.1", port: 0, certificate, logger: pino({ level: "silent" }) },
    authenticate: () => assert.unreachable() as never,
    configuration: { attach: () => assert.unreachable() as never, nacked: () => {} },
  });
  const webhook = await startAdmissionServer({
    ...{ host: "127.0.0.1", port: 0, certificate },
    admit: () => ({ allowed: true }),
  });
  try {
    for (const round of ["at the start", "after a rotation"]) {
      for (const [name, server] of Object.entries({ xds, webhook }))
        await verify(`${name} ${round}`, (options) =>
          dialFrom(clientOf(`127.0.0.1:${server.port}`, [...options, "-alpn", name === "xds" ? "h2" : "http/1.1"])),
        );
      const next = await authority.issue({ dnsNames: ["localhost"] }, 3600);
      xds.setCertificate(next);
      webhook.setCertificate(next);
    }
  } finally {
    await xds.stop();
    await webhook.close();
  }
});

const start = async (mesh: Parameters<typeof startMesh>[0]["mesh"] = {}): Promise<Mesh> =>
  startMesh({
    mesh,
    yaml: joined(
      namespace("plain"),
      echoPod("outside", "outside", { namespace: "plain" }),
      service("server", { http: [80, 8080] }, { namespace: "shop" }),
      echoPod("server", "server", { namespace: "shop" }),
    ),
  });

const dialSidecar = async (mesh: Mesh) => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
  const { certificateChainPem, privateKeyPem } = await mesh.plane.authority.issue(
    { uri: "spiffe://cluster.local/ns/plain/sa/outside" },
    600,
  );
  writeFileSync(join(folder, "chain.pem"), certificateChainPem);
  writeFileSync(join(folder, "key.pem"), privateKeyPem, { mode: 0o600 });
  const own = ["-cert", join(folder, "chain.pem"), "-key", join(folder, "key.pem"), "-alpn", "istio-http/1.1"];
  return {
    dial: (options: readonly string[]) =>
      dialFrom(
        mesh.pod("outside").network.wrap([...clientOf(`${mesh.pod("server").address}:8080`, [...options, ...own])]),
      ),
    remove: () => rmSync(folder, { recursive: true }),
  };
};

test("a sidecar takes no other TLS in the mesh's mutual TLS", async () => {
  const mesh = await start();
  const { dial, remove } = await dialSidecar(mesh);
  try {
    await verify("the sidecar", dial);
  } finally {
    remove();
    await mesh.close();
  }
});

test("meshMTLS.minProtocolVersion raises what sidecars take, and they still reach each other", async () => {
  const settings = { minProtocolVersion: "TLSV1_3", cipherSuites: [], ecdhCurves: ["P-256"] } as const;
  const mesh = await start({ meshMTLS: settings });
  await mesh.apply(echoPod("client", "client", { namespace: "shop" }));
  const { dial, remove } = await dialSidecar(mesh);
  try {
    assert.match(await dial(["-tls1_3"]), "Protocol version: TLSv1.3");
    assert.not.match(await dial(["-tls1_2"]), "Protocol version:");
    const [answer] = await mesh.call("shop/client", "http://server.shop/");
    assert.is(answer?.status, 200, answer?.error);
    assert.match(answer!.body, "spiffe://cluster.local/ns/shop/sa/client");
  } finally {
    remove();
    await mesh.close();
  }
});

test.run();
