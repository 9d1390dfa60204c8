import { test } from "uvu";
import * as assert from "uvu/assert";
import { authorityOf } from "../../../src/identity/authority.js";
import { readAuthority, type SecretData } from "../../../src/identity/authority-secret.js";
import { parseCertificates } from "../../../src/identity/x509.js";
import { makeAuthority } from "../../support/authorities.js";

/** What an operator puts into the Secret cacerts, by hand or by cert-manager, and what is wrong with it. */
const root = makeAuthority("root");
const policy = makeAuthority("policy", { by: root });
const issuer = makeAuthority("issuer", { by: policy, basicConstraints: "critical,CA:TRUE,pathlen:0" });

const istio: SecretData = {
  "ca-cert.pem": issuer.certificate,
  "ca-key.pem": issuer.key,
  "cert-chain.pem": issuer.certificate + policy.certificate,
  "root-cert.pem": root.certificate,
};
const certManager: SecretData = {
  "tls.crt": issuer.certificate + policy.certificate,
  "tls.key": issuer.key,
  "ca.crt": root.certificate,
};
const days = (count: number): Date => new Date(Date.now() + count * 86_400_000);

for (const [name, data] of Object.entries({
  "Istio's layout": istio,
  "cert-manager's layout": certManager,
  "both layouts, of which tls.crt counts": { ...certManager, "ca-cert.pem": "x", "ca-key.pem": "x" },
}))
  test(`an intermediate in ${name} signs, and its chain leads to the root`, async () => {
    const authority = authorityOf(readAuthority(data, "cacerts"));
    const issued = await authority.issue({ uri: "spiffe://cluster.local/ns/a/sa/b" }, 60);
    const chain = parseCertificates(issued.certificateChainPem);
    assert.is(chain.length, 3, "leaf and two intermediates, without the root");
    const above = [...chain.slice(1), ...parseCertificates(root.certificate)];
    for (const [at, certificate] of chain.entries()) assert.ok(certificate.verify(above[at]!.publicKey));
    assert.is(authority.rootsPem, root.certificate);
    assert.is(authority.depth, 3);
  });

test("keys in the containers of OpenSSL and cert-manager are read", () => {
  const rsa = makeAuthority("rsa", { newKey: ["-newkey", "rsa:2048"], isTraditional: true });
  const ec = makeAuthority("ec", { isTraditional: true });
  assert.match(rsa.key, "BEGIN RSA PRIVATE KEY");
  assert.match(ec.key, "BEGIN EC PRIVATE KEY");
  for (const { certificate, key } of [rsa, ec])
    assert.is(readAuthority({ "tls.crt": certificate, "tls.key": key, "ca.crt": "" }, "cacerts").origin, "operator");
});

test("an authority ends with the first certificate of its path", async () => {
  const short = makeAuthority("short root", { days: 2 });
  const long = makeAuthority("long", { by: short, days: 20 });
  const data = { "tls.crt": long.certificate, "tls.key": long.key, "ca.crt": short.certificate };
  const authority = authorityOf(readAuthority(data, "cacerts"));
  assert.ok(authority.notAfter < days(3));
  assert.ok((await authority.issue({ uri: "spiffe://a/ns/b/sa/c" }, 10 * 86_400)).notAfter < days(3));
});

const other = makeAuthority("other");
const narrow = makeAuthority("narrow", { basicConstraints: "critical,CA:TRUE,pathlen:0" });
const belowNarrow = makeAuthority("below", { by: narrow });
const silent = makeAuthority("silent", { keyUsage: "critical,digitalSignature" });
const leaf = makeAuthority("leaf", { by: root, basicConstraints: "critical,CA:FALSE" });
const edwards = makeAuthority("edwards", { newKey: ["-newkey", "ed25519"] });
const short = makeAuthority("short", { days: 2 });
const belowShort = makeAuthority("below short", { by: short, days: 20 });

const faults: readonly (readonly [what: string, data: SecretData, message: RegExp, now?: Date])[] = [
  [
    "no certificate",
    {},
    /Secret cacerts: ca-cert\.pem is missing; put the PEM there, in the layout of Istio's cacerts/,
  ],
  ["no key", { "tls.crt": issuer.certificate }, /Secret cacerts: tls\.key is missing.*kubernetes\.io\/tls/],
  [
    "another key",
    { ...certManager, "tls.key": other.key },
    /Secret cacerts: tls\.key: does not belong to tls\.crt; supply the pair/,
  ],
  [
    "another key, Istio's layout",
    { ...istio, "ca-key.pem": other.key },
    /ca-key\.pem: does not belong to ca-cert\.pem/,
  ],
  ["a key that is none", { ...certManager, "tls.key": "SECRET" }, /tls\.key: is not an unencrypted PEM private key/],
  [
    "a key that cannot sign here",
    { "tls.crt": edwards.certificate, "tls.key": edwards.key },
    /tls\.key: is a key of type ed25519; use an EC/,
  ],
  ["a certificate that is none", { ...certManager, "tls.crt": "x" }, /tls\.crt: holds no PEM certificate; add one/],
  [
    "no authority",
    { "tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": root.certificate },
    /tls\.crt: is not a certificate authority.*cert-manager by isCA: true/,
  ],
  [
    "no right to sign certificates",
    { "ca-cert.pem": silent.certificate, "ca-key.pem": silent.key },
    /ca-cert\.pem: is not a certificate authority \(it needs basicConstraints CA:TRUE and keyUsage keyCertSign\)/,
  ],
  [
    "no root",
    { ...certManager, "ca.crt": "" },
    /ca\.crt is missing, and tls\.crt is of an intermediate; put the root's PEM there/,
  ],
  [
    "another root",
    { ...istio, "root-cert.pem": other.certificate },
    /ca-cert\.pem: does not lead to a root in root-cert\.pem; add the missing intermediates to cert-chain\.pem, or the right root/,
  ],
  [
    "a gap in the chain",
    { ...certManager, "tls.crt": issuer.certificate },
    /tls\.crt: does not lead to a root in ca\.crt/,
  ],
  [
    "a root that allows no intermediate",
    { "tls.crt": belowNarrow.certificate, "tls.key": belowNarrow.key, "ca.crt": narrow.certificate },
    /ca\.crt: its pathLenConstraint 0 allows 0 authorities below it, and there are 1/,
  ],
  ["an expired intermediate", istio, /ca-cert\.pem: expired at .*; supply a new one/, days(11)],
  [
    "an expired root",
    { "tls.crt": belowShort.certificate, "tls.key": belowShort.key, "ca.crt": short.certificate },
    /ca\.crt: expired at/,
    days(3),
  ],
  ["one that is not valid yet", istio, /ca-cert\.pem: not valid before .*correct the clocks/, days(-1)],
];
for (const [what, data, message, now] of faults)
  test(`${what} is refused with the Secret's key and the cure`, () => {
    try {
      readAuthority(data, "cacerts", now);
    } catch (error) {
      assert.match((error as Error).message, message);
      assert.not.match((error as Error).message, /SECRET|PRIVATE/);
      return;
    }
    assert.unreachable();
  });

test("clocks that differ by minutes refuse nothing", () => {
  const behind = new Date(Date.now() - 200_000);
  assert.is(readAuthority(istio, "cacerts", behind).origin, "operator");
});

test.run();
