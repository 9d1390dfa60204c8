import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../../src/identity/authority.js";
import type { SecretData } from "../../../src/identity/authority-secret.js";
import { type LiveAuthority, openLiveAuthority } from "../../../src/identity/live-authority.js";
import { createMemorySecrets } from "../../../src/identity/memory-secrets.js";
import { createWorkloadCertificates, type WorkloadSecrets } from "../../../src/identity/workload.js";

const uri = "spiffe://cluster.local/ns/shop/sa/cart";
const overlapMilliseconds = 60_000;

/** A Secret of Istio's layout with a root of its own. */
const makeSecret = async (): Promise<SecretData> => {
  const store = createMemorySecrets();
  await openAuthority(store, "cluster.local");
  return (await store.read("istio-ca-secret"))!;
};

const openssl = (folder: string, ...words: readonly string[]): string =>
  execFileSync("openssl", words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

const inFolder = async <Value>(action: (folder: string) => Promise<Value>): Promise<Value> => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
  try {
    return await action(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
};

const verifies = (rootsPem: string, chainPem: string): Promise<boolean> =>
  inFolder(async (folder) => {
    writeFileSync(join(folder, "roots.pem"), rootsPem);
    writeFileSync(join(folder, "chain.pem"), chainPem);
    try {
      openssl(folder, "verify", "-x509_strict", "-CAfile", "roots.pem", "-untrusted", "chain.pem", "chain.pem");
      return true;
    } catch {
      return false;
    }
  });

const opened = async (store = createMemorySecrets(), distributionMilliseconds = 20) => {
  const judged: string[] = [];
  const failures: string[] = [];
  const authority = await openLiveAuthority({
    store,
    trustDomain: "cluster.local",
    overlapMilliseconds,
    distributionMilliseconds,
    judged: (secret, error) => judged.push(`${secret}: ${error?.message ?? "good"}`),
    failed: (error) => failures.push(error.message),
  });
  return { authority, store, judged, failures };
};

const next = (authority: LiveAuthority, wanted: "trust" | "signer"): Promise<void> =>
  new Promise((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error(`no ${wanted} within 5 s`)), 5000);
    const stop = authority.onChange((change) => {
      if (change !== wanted) return;
      clearTimeout(deadline);
      stop();
      resolve();
    });
  });

const leafOf = async (authority: LiveAuthority): Promise<string> =>
  (await authority.issue({ uri }, 3600)).certificateChainPem;

test("a new authority is trusted before it signs, and the earlier root stays trusted after", async () => {
  const { authority, store, failures } = await opened();
  const [before, oldRoot] = [await leafOf(authority), authority.rootsPem];
  const [trusted, signs] = [next(authority, "trust"), next(authority, "signer")];
  authority.secretChanged("cacerts", await makeSecret());
  await trusted;
  assert.ok(authority.rootsPem.includes(oldRoot), "the bundle holds the old root");
  assert.ok(authority.rootsPem.length > oldRoot.length, "and the new one");
  assert.ok(await verifies(oldRoot, await leafOf(authority)), "until the bundle is out, the earlier authority signs");
  await signs;
  assert.is(authority.origin, "operator");
  const after = await leafOf(authority);
  assert.not(await verifies(oldRoot, after), "the new one signs");
  for (const leaf of [before, after]) assert.ok(await verifies(authority.rootsPem, leaf));
  assert.ok(
    await verifies(oldRoot, after + authority.crossCertificatesPem()),
    "who knows only the earlier root verifies a server's chain",
  );
  await authority.stop();
  const { authority: restarted } = await opened(store);
  assert.ok(restarted.rootsPem.includes(oldRoot), "a restart forgets nothing");
  assert.equal(failures, []);
  await restarted.stop();
});

test("a bad Secret changes nothing and says what to do", async () => {
  const { authority, judged } = await opened();
  const before = authority.fingerprint;
  const good = await makeSecret();
  authority.secretChanged("cacerts", { ...good, "ca-key.pem": "SECRET" });
  authority.secretChanged("cacerts", {});
  const signs = next(authority, "signer");
  authority.secretChanged("cacerts", good);
  await signs;
  assert.not.equal(authority.fingerprint, before);
  assert.is(judged.length, 3);
  assert.match(judged[0]!, /Secret cacerts: ca-key\.pem: is not an unencrypted PEM private key; replace it/);
  assert.match(judged[1]!, /ca-cert\.pem is missing; put the PEM there/);
  assert.is(judged[2], "cacerts: good");
  assert.not.match(judged.join(), "SECRET");
  await authority.stop();
});

test("a Secret that comes back at once is no removal; one that stays away makes the self-made root sign", async () => {
  const memory = createMemorySecrets();
  const cacerts = await makeSecret();
  await memory.create("cacerts", cacerts);
  let isThere = true;
  const store = {
    ...memory,
    read: async (name: string) => (name !== "cacerts" || isThere ? memory.read(name) : undefined),
  };
  const { authority } = await opened(store, 100);
  const changes: string[] = [];
  authority.onChange((change) => changes.push(change));
  authority.secretChanged("cacerts", undefined);
  authority.secretChanged("cacerts", cacerts);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(changes, []);
  const signs = next(authority, "signer");
  isThere = false;
  authority.secretChanged("cacerts", undefined);
  await signs;
  assert.is(authority.origin, "self-made");
  assert.ok(authority.rootsPem.includes(new X509Certificate(cacerts["ca-cert.pem"]!).toString()));
  await authority.stop();
});

test("a changed self-made Secret takes over too, unless the operator's is in force", async () => {
  const { authority } = await opened();
  const before = authority.fingerprint;
  const signs = next(authority, "signer");
  authority.secretChanged("istio-ca-secret", await makeSecret());
  await signs;
  assert.is(authority.origin, "self-made");
  assert.is.not(authority.fingerprint, before);
  const again = next(authority, "signer");
  authority.secretChanged("cacerts", await makeSecret());
  await again;
  const operator = authority.fingerprint;
  authority.secretChanged("istio-ca-secret", await makeSecret());
  authority.secretChanged("istio-ca-secret", undefined);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.is(authority.fingerprint, operator);
  await authority.stop();
});

test("events of both Secrets at once leave the operator's in force, and one that goes again at once is gone", async () => {
  const memory = createMemorySecrets();
  const { authority, failures } = await opened(memory);
  const selfMade = authority.fingerprint;
  const cacerts = await makeSecret();
  const signs = next(authority, "signer");
  authority.secretChanged("cacerts", cacerts);
  authority.secretChanged("istio-ca-secret", await memory.read("istio-ca-secret"));
  await signs;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(authority.origin, "operator");
  const back = next(authority, "signer");
  authority.secretChanged("cacerts", undefined);
  await back;
  assert.is(authority.fingerprint, selfMade);

  const trusted = next(authority, "trust");
  authority.secretChanged("cacerts", await makeSecret());
  authority.secretChanged("cacerts", undefined);
  await trusted;
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.is(authority.fingerprint, selfMade);
  assert.equal(failures, []);
  await authority.stop();
});

test("roots that another replica has written are told of when they are found at writing", async () => {
  const store = createMemorySecrets();
  const [one, two] = [await opened(store), await opened(store)];
  const first = next(one.authority, "signer");
  one.authority.secretChanged("cacerts", await makeSecret());
  await first;
  let told = "";
  two.authority.onChange((change) => {
    if (change === "trust") told = two.authority.rootsPem;
  });
  const second = next(two.authority, "signer");
  two.authority.secretChanged("cacerts", await makeSecret());
  await second;
  assert.is(two.authority.rootsPem.match(/BEGIN/g)?.length, 3);
  assert.is(told, two.authority.rootsPem);
  for (const { authority } of [one, two]) await authority.stop();
});

test("replicas that see the change at different times agree on the bundle", async () => {
  const store = createMemorySecrets();
  const [one, two] = [await opened(store), await opened(store)];
  const cacerts = await makeSecret();
  const first = next(one.authority, "signer");
  one.authority.secretChanged("cacerts", cacerts);
  await first;
  two.authority.secretChanged("heddle-trust", await store.read("heddle-trust"));
  const second = next(two.authority, "signer");
  two.authority.secretChanged("cacerts", cacerts);
  await second;
  assert.is(two.authority.rootsPem, one.authority.rootsPem);
  assert.is(two.authority.fingerprint, one.authority.fingerprint);
  for (const { authority, failures } of [one, two]) {
    assert.equal(failures, []);
    await authority.stop();
  }
});

test("a root that someone takes out of the record is trusted no more; a record that cannot be written is tried again", async () => {
  const memory = createMemorySecrets();
  let refusals = 1;
  const { authority, failures } = await opened({
    ...memory,
    update: async (name, change) => {
      if (refusals-- > 0) throw new Error("the API server is away");
      await memory.update(name, change);
    },
  });
  const oldRoot = authority.rootsPem;
  const signs = next(authority, "signer");
  authority.secretChanged("cacerts", await makeSecret());
  await signs;
  const record = (await memory.read("heddle-trust"))!["trust.json"]!;
  assert.equal(failures, ["the API server is away"]);
  assert.ok(authority.rootsPem.includes(oldRoot));
  const { roots } = JSON.parse(record) as { readonly roots: readonly { readonly pem: string }[] };
  const without = { roots: roots.filter(({ pem }) => pem !== oldRoot), crossCertificates: [] };
  await memory.update("heddle-trust", () => ({ "trust.json": JSON.stringify(without) }));
  const changed = next(authority, "trust");
  authority.secretChanged("heddle-trust", await memory.read("heddle-trust"));
  await changed;
  assert.not(authority.rootsPem.includes(oldRoot));
  assert.is(authority.crossCertificatesPem(), "");
  await authority.stop();
});

test("each workload is told the bundle at once and given a new certificate within the window", async () => {
  const { authority } = await opened();
  const certificates = createWorkloadCertificates({
    authority: () => authority,
    trustDomain: "cluster.local",
    lifetimeSeconds: 3600,
    failed: (error) => assert.unreachable(error.message),
  });
  const told = new Map<number, WorkloadSecrets[]>();
  const subscriptions = await Promise.all(
    Array.from({ length: 20 }, (_, index) => {
      told.set(index, []);
      return certificates.subscribe("shop", "cart", (secrets) => told.get(index)!.push(secrets));
    }),
  );
  const first = subscriptions.map(({ current }) => current);
  authority.onChange((change) => (change === "trust" ? certificates.trustChanged() : certificates.reissue(50)));
  authority.secretChanged("cacerts", await makeSecret());
  const deadline = Date.now() + 5000;
  while ([...told.values()].some((list) => list.length < 2) && Date.now() < deadline)
    await new Promise((resolve) => setTimeout(resolve, 10));
  for (const [index, list] of told) {
    const [bundle, reissued, ...more] = list;
    assert.equal(more, []);
    assert.is(bundle!.certificateChainPem, first[index]!.certificateChainPem, "first the bundle alone");
    assert.is(bundle!.rootsPem, authority.rootsPem);
    assert.is.not(reissued!.certificateChainPem, first[index]!.certificateChainPem);
    assert.ok(await verifies(first[index]!.rootsPem, first[index]!.certificateChainPem));
    assert.not(
      new X509Certificate(reissued!.certificateChainPem).publicKey.equals(
        new X509Certificate(first[index]!.certificateChainPem).publicKey,
      ),
    );
  }
  for (const { stop } of subscriptions) stop();
  await authority.stop();
});

test("an authority that may certify none below it says what must be restarted", () =>
  inFolder(async (folder) => {
    openssl(
      folder,
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=narrow"],
      ...["-keyout", "key.pem", "-out", "cert.pem", "-days", "2"],
      ...["-addext", "basicConstraints=critical,CA:TRUE,pathlen:0", "-addext", "keyUsage=critical,keyCertSign"],
    );
    const read = (name: string): string => openssl(folder, name === "key.pem" ? "pkey" : "x509", "-in", name);
    const store = createMemorySecrets();
    await store.create("cacerts", { "ca-cert.pem": read("cert.pem"), "ca-key.pem": read("key.pem") });
    const { authority, failures } = await opened(store);
    const signs = next(authority, "signer");
    authority.secretChanged("cacerts", await makeSecret());
    await signs;
    assert.is(authority.crossCertificatesPem(), "");
    assert.match(failures.join(), /pathLenConstraint.*restart them/);
    await authority.stop();
  }));

test.run();
