import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority, type SecretStore, spiffeId } from "../../../src/identity/authority.js";
import { readAuthority } from "../../../src/identity/authority-secret.js";

const memoryStore = (initial: Readonly<Record<string, Readonly<Record<string, string>>>> = {}) => {
  const secrets = new Map(Object.entries(initial));
  const store: SecretStore = {
    read: async (name) => secrets.get(name),
    create: async (name, data) => {
      if (secrets.has(name)) return "exists";
      secrets.set(name, data);
      return "created";
    },
    update: async (name, change) => {
      secrets.set(name, change(secrets.get(name))!);
    },
  };
  return { store, secrets };
};

const uri = spiffeId("cluster.local", "shop", "cart");

test("a workload certificate verifies with OpenSSL in strict mode and names the SPIFFE id alone", async () => {
  const authority = await openAuthority(memoryStore().store, "cluster.local");
  const issued = await authority.issue({ uri }, 3600);
  const folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
  try {
    writeFileSync(join(folder, "root.pem"), authority.rootsPem);
    writeFileSync(join(folder, "leaf.pem"), issued.certificateChainPem);
    const arguments_ = ["verify", "-x509_strict", "-CAfile", join(folder, "root.pem"), join(folder, "leaf.pem")];
    assert.match(execFileSync("openssl", arguments_, { encoding: "utf8" }), /: OK/);
  } finally {
    rmSync(folder, { recursive: true });
  }
  const leaf = new X509Certificate(issued.certificateChainPem);
  assert.is(leaf.subjectAltName, `URI:${uri}`);
  assert.is(leaf.subject, undefined);
  assert.not(leaf.ca);
  assert.ok(leaf.validFromDate.getTime() < Date.now() - 60_000, "begins in the past, for clocks that are behind");
  assert.ok(leaf.validToDate.getTime() - Date.now() <= 3_600_000);
  assert.is(BigInt(`0x${leaf.serialNumber}`) >> 120n > 0n, true);
});

test("an operator's RSA or P-384 authority signs what OpenSSL verifies, through an intermediate", () => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
  const openssl = (...words: readonly string[]): string =>
    execFileSync("openssl", words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const read = (name: string): string => readFileSync(join(folder, name), "utf8");
  return (async () => {
    for (const key of [
      ["-newkey", "rsa:2048"],
      ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"],
    ]) {
      const authorityExtensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign"];
      openssl(
        ...["req", "-x509", ...key, "-nodes", "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=Root é"],
        ...["-utf8", "-days", "2", ...authorityExtensions],
      );
      openssl(
        ...["req", "-x509", ...key, "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/O=Mesh/CN=Issuer"],
        ...["-CA", "root.pem", "-CAkey", "root.key", "-days", "2", ...authorityExtensions],
      );
      const cacerts = {
        "ca-cert.pem": read("ca.pem"),
        "ca-key.pem": read("ca.key"),
        "root-cert.pem": read("root.pem"),
      };
      const issued = await (await openAuthority(memoryStore({ cacerts }).store, "x")).issue({ uri }, 3600);
      writeFileSync(join(folder, "leaf.pem"), issued.certificateChainPem);
      const verified = ["verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "leaf.pem", "leaf.pem"];
      assert.match(openssl(...verified), /: OK/);
    }
  })().finally(() => rmSync(folder, { recursive: true }));
});

test("replicas that start at once agree on one root", async () => {
  const { store } = memoryStore();
  const authorities = await Promise.all(Array.from({ length: 5 }, () => openAuthority(store, "cluster.local")));
  assert.is(new Set(authorities.map(({ rootsPem }) => rootsPem)).size, 1);
});

test("the operator's cacerts comes before the self-made root", async () => {
  const made = memoryStore();
  await openAuthority(made.store, "operator.example");
  const cacerts = made.secrets.get("istio-ca-secret")!;
  const authority = await openAuthority(memoryStore({ cacerts }).store, "cluster.local");
  assert.is(authority.origin, "operator");
  assert.is(authority.rootsPem.trim(), cacerts["root-cert.pem"]!.trim());
});

test("a Secret that cannot sign is refused with its key and the cure, never with key material", async () => {
  const first = memoryStore();
  const second = memoryStore();
  await openAuthority(first.store, "a");
  await openAuthority(second.store, "b");
  const good = first.secrets.get("istio-ca-secret")!;
  const other = second.secrets.get("istio-ca-secret")!;
  const leaf = await (await openAuthority(first.store, "a")).issue({ uri }, 60);
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp, Date?])[] = [
    [{}, /ca-cert\.pem is missing/],
    [{ ...good, "ca-key.pem": "secret text" }, /ca-key\.pem: is not an unencrypted PEM private key/],
    [{ ...good, "ca-key.pem": other["ca-key.pem"]! }, /does not belong to ca-cert\.pem/],
    [{ "ca-cert.pem": leaf.certificateChainPem, "ca-key.pem": leaf.privateKeyPem }, /is not a certificate authority/],
    [{ ...good, "root-cert.pem": other["root-cert.pem"]! }, /does not lead to a root/],
    [good, /expired at/, new Date(Date.now() + 20 * 365 * 86_400_000)],
  ];
  for (const [data, message, now] of cases) {
    try {
      readAuthority(data, "cacerts", now);
      assert.unreachable(String(message));
    } catch (error) {
      assert.match((error as Error).message, message);
      assert.not.match((error as Error).message, /secret text|PRIVATE/);
    }
  }
});

test.run();
