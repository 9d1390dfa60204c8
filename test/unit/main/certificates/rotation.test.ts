import { test } from "uvu";
import * as assert from "uvu/assert";
import { fingerprintOf, type SecretStore } from "../../../../src/identity/authority.js";
import type { SecretData } from "../../../../src/identity/authority-secret.js";
import { type LiveAuthority, openLiveAuthority } from "../../../../src/identity/live-authority.js";
import { createMemorySecrets } from "../../../../src/identity/memory-secrets.js";
import { parseCertificates } from "../../../../src/identity/x509.js";
import { createRotationDriver, type RotationDriver } from "../../../../src/main/certificates/driver.js";
import type { AuthorityStatus, ReplicaReport } from "../../../../src/main/certificates/state.js";

/** Replicas of heddled on one store, each with a proxy that takes the bundle of its replica when it is let to. */
const uri = "spiffe://cluster.local/ns/shop/sa/cart";
const hour = 3_600_000;

interface Replica {
  authority: LiveAuthority;
  readonly driver: RotationDriver;
  readonly stop: () => Promise<void>;
}

interface Cluster {
  readonly store: SecretStore;
  readonly start: (name: string) => Promise<Replica>;
  readonly reports: Map<string, ReplicaReport>;
  /** Replicas whose proxies do not take the bundle. */
  readonly stuck: Set<string>;
  request: string | undefined;
  unwanted: string | undefined;
  holder: string;
  readonly logged: string[];
  readonly failures: string[];
}

const createCluster = (settings: { rootLifetimeMilliseconds?: number; overlapMilliseconds?: number } = {}): Cluster => {
  const memory = createMemorySecrets();
  const replicas = new Map<string, { readonly authority: LiveAuthority; secret: SecretData | undefined }>();
  const store: SecretStore = {
    ...memory,
    update: async (name, change) => {
      await memory.update(name, change);
      const data = await memory.read(name);
      for (const replica of replicas.values()) {
        if (name === "istio-ca-secret") replica.secret = data;
        replica.authority.secretChanged(name, data);
      }
    },
  };
  const reports = new Map<string, ReplicaReport>();
  const stuck = new Set<string>();
  const rootLifetimeMilliseconds = settings.rootLifetimeMilliseconds ?? 100 * hour;
  const cluster: Cluster = {
    store,
    reports,
    stuck,
    request: undefined,
    unwanted: undefined,
    holder: "one",
    logged: [],
    failures: [],
    start: async (name) => {
      const authority = await openLiveAuthority({
        store,
        trustDomain: "cluster.local",
        rootLifetimeMilliseconds,
        overlapMilliseconds: settings.overlapMilliseconds ?? hour,
        distributionMilliseconds: 20,
        judged: (_secret, error) => error && cluster.failures.push(error.message),
        failed: (error) => cluster.failures.push(error.message),
      });
      const own = { authority, secret: await memory.read("istio-ca-secret") };
      replicas.set(name, own);
      authority.secretChanged("istio-ca-secret", own.secret);
      let proxyRoots = authority.rootsPem;
      const report = (): void => {
        if (!stuck.has(name)) proxyRoots = authority.rootsPem;
        reports.set(name, {
          proxies: 1,
          trusting: proxyRoots === authority.rootsPem ? 1 : 0,
          behind: proxyRoots === authority.rootsPem ? [] : ["shop/cart"],
          byRoot: { [fingerprintOf(authority.rootPem)]: 1 },
          roots: authority.trustedRoots().map(({ pem }) => fingerprintOf(pem)),
          written: true,
        });
      };
      report();
      const reporting = setInterval(report, 5).unref();
      const driver = createRotationDriver({
        authority,
        store,
        trustDomain: "cluster.local",
        workloads: "heddled",
        mayDrive: () => cluster.holder === name,
        secret: () => own.secret,
        replicas: () => [...replicas.keys()],
        reports: () => reports,
        request: () => cluster.request,
        unwanted: () => cluster.unwanted,
        answered: () => {},
        told: (message) => cluster.logged.push(message),
        failed: (error) => cluster.failures.push(error.message),
        rootLifetimeMilliseconds,
        rotateBeforeMilliseconds: 20 * hour,
        settleMilliseconds: 20,
        tickMilliseconds: 5,
      });
      return {
        authority,
        driver,
        stop: async () => {
          clearInterval(reporting);
          await driver.stop();
          await authority.stop();
          replicas.delete(name);
          reports.delete(name);
        },
      };
    },
  };
  return cluster;
};

const eventually = async (what: string, check: () => boolean): Promise<void> => {
  const deadline = Date.now() + 10_000;
  while (!check()) {
    if (Date.now() > deadline) throw new Error(`not within 10 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};

const statusOf = ({ driver }: Replica): AuthorityStatus => {
  const status = driver.status();
  if (status === undefined) throw new Error("the replica does not drive");
  return status;
};
const reaches = (replica: Replica, phase: AuthorityStatus["phase"]): Promise<void> =>
  eventually(phase, () => replica.driver.status()?.phase === phase);

const isTrustedBy = async (issuer: LiveAuthority, verifier: LiveAuthority): Promise<boolean> => {
  const [leaf] = parseCertificates((await issuer.issue({ uri }, 60)).certificateChainPem);
  return parseCertificates(verifier.rootsPem).some((root) => leaf!.verify(root.publicKey));
};

test("the next root signs only when every proxy of every replica trusts it, whichever replica drives", async () => {
  const cluster = createCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const before = one.authority.rootPem;
  await reaches(one, "none");
  cluster.stuck.add("two");
  cluster.request = "first";
  await eventually("both replicas trust two roots", () =>
    [one, two].every(({ authority }) => authority.trustedRoots().length === 2),
  );
  await eventually("it is told who is behind", () =>
    statusOf(one).waitingFor.join().includes("1 of 1 proxies of two have not taken the new root: shop/cart"),
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.is(one.authority.rootPem, before, "nothing signs before");
  assert.is(statusOf(one).phase, "distributing");

  cluster.holder = "two";
  await reaches(two, "distributing");
  let checks = 0;
  let isOver = false;
  const checking = (async () => {
    while (!isOver) {
      for (const issuer of [one, two])
        for (const verifier of [one, two]) assert.ok(await isTrustedBy(issuer.authority, verifier.authority));
      checks += 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  cluster.stuck.clear();
  await reaches(two, "retiring");
  isOver = true;
  await checking;
  assert.ok(checks > 3, `${checks} checks`);
  for (const { authority } of [one, two]) {
    assert.is.not(authority.rootPem, before);
    assert.ok(authority.rootsPem.includes(before), "the earlier root stays trusted");
  }
  assert.is(one.authority.rootPem, two.authority.rootPem);
  const status = statusOf(two);
  assert.is(status.rotation?.request, "first");
  assert.equal(status.roots.map(({ signs, trustedUntil }) => [signs, trustedUntil === undefined]).sort(), [
    [false, false],
    [true, true],
  ]);
  const secret = await cluster.store.read("istio-ca-secret");
  assert.not.match(JSON.stringify(secret), "next-", "the next root's place is empty, and the earlier key gone");
  assert.equal(cluster.failures, []);
  for (const replica of [one, two]) await replica.stop();
});

test("a request is followed once, and a replica that does not report holds the rotation up", async () => {
  const cluster = createCluster();
  const one = await cluster.start("one");
  const two = await cluster.start("two");
  cluster.request = "first";
  await reaches(one, "retiring");
  const root = one.authority.rootPem;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(one.authority.rootPem, root, "the same request again is none");
  assert.is(one.authority.trustedRoots().length, 2);
  await two.stop();
  const three = await cluster.start("three");
  await new Promise((resolve) => setTimeout(resolve, 10));
  const reported = cluster.reports.get("three")!;
  const { set } = cluster.reports;
  cluster.reports.delete("three");
  cluster.reports.set = (name, report) =>
    name === "three" ? cluster.reports : set.call(cluster.reports, name, report);
  cluster.request = "second";
  await eventually("it is told", () => statusOf(one).waitingFor.join().includes("replica three has not reported"));
  assert.is(one.authority.rootPem, root);
  cluster.reports.set = set;
  cluster.reports.set("three", reported);
  await eventually("the next root signs", () => one.authority.rootPem !== root);
  for (const replica of [one, three]) await replica.stop();
});

for (const phase of ["distributing", "retiring"] as const)
  test(`heddled that starts anew in the phase ${phase} goes on, and who knows the first root only is served`, async () => {
    const cluster = createCluster();
    const one = await cluster.start("one");
    const before = one.authority.rootPem;
    if (phase === "distributing") cluster.stuck.add("one");
    cluster.request = "first";
    await reaches(one, phase);
    await eventually("the new root is certified by the earlier", () => one.authority.crossCertificatesPem() !== "");
    await one.stop();
    cluster.stuck.clear();
    const again = await cluster.start("one");
    await reaches(again, "retiring");
    assert.is.not(again.authority.rootPem, before);
    assert.ok(again.authority.rootsPem.includes(before));
    const [old] = parseCertificates(before);
    const [leaf] = parseCertificates((await again.authority.issue({ dnsNames: ["heddled"] }, 60)).certificateChainPem);
    const crossed = parseCertificates(again.authority.crossCertificatesPem());
    assert.ok(crossed.some((by) => leaf!.verify(by.publicKey) && by.verify(old!.publicKey)));
    assert.equal(cluster.failures, []);
    await again.stop();
  });

test("the replica that writes the change can be gone at once: the new root is certified before", async () => {
  const cluster = createCluster();
  const one = await cluster.start("one");
  const before = one.authority.rootPem;
  cluster.stuck.add("one");
  cluster.request = "first";
  await eventually("certified", () => one.authority.crossCertificatesPem() !== "");
  await one.stop();
  // As if heddled had ended right after it had written the Secret.
  const { completeRotation, nextRootOf } = await import("../../../../src/identity/root-rotation.js");
  const secret = (await cluster.store.read("istio-ca-secret"))!;
  await cluster.store.update("istio-ca-secret", completeRotation(nextRootOf(secret)!));
  const again = await cluster.start("one");
  const [leaf] = parseCertificates((await again.authority.issue({ dnsNames: ["heddled"] }, 60)).certificateChainPem);
  const [old] = parseCertificates(before);
  assert.not(leaf!.verify(old!.publicKey));
  assert.ok(
    parseCertificates(again.authority.crossCertificatesPem()).some(
      (by) => leaf!.verify(by.publicKey) && by.verify(old!.publicKey),
    ),
  );
  assert.ok(again.authority.rootsPem.includes(before));
  await again.stop();
});

test("the earlier root is dropped when its last certificate has ended", async () => {
  const cluster = createCluster({ overlapMilliseconds: 600 });
  const one = await cluster.start("one");
  const before = one.authority.rootPem;
  cluster.request = "first";
  await reaches(one, "retiring");
  assert.ok(one.authority.rootsPem.includes(before));
  await reaches(one, "none");
  assert.not(one.authority.rootsPem.includes(before));
  assert.equal(
    statusOf(one).roots.map(({ signs }) => signs),
    [true],
  );
  await one.stop();
});

test("an earlier root is dropped before its time when asked; the one that signs never is", async () => {
  const cluster = createCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const before = one.authority.rootPem;
  cluster.unwanted = fingerprintOf(before);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.ok(one.authority.rootsPem.includes(before), "it signs");
  cluster.unwanted = undefined;
  cluster.request = "first";
  await reaches(one, "retiring");
  assert.ok(two.authority.rootsPem.includes(before));
  cluster.unwanted = fingerprintOf(before);
  await eventually("no replica trusts it", () =>
    [one, two].every(({ authority }) => !authority.rootsPem.includes(before)),
  );
  assert.is.not(one.authority.crossCertificatesPem(), "", "proxies that run can still connect");
  assert.equal(cluster.failures, []);
  for (const replica of [one, two]) await replica.stop();
});

test("a root near its end is rotated without being asked", async () => {
  const cluster = createCluster({ rootLifetimeMilliseconds: 19 * hour });
  const one = await cluster.start("one");
  await eventually("a rotation", () => one.driver.status()?.rotation?.reason === "expiry");
  await one.stop();
  const young = createCluster({ rootLifetimeMilliseconds: 21 * hour });
  const other = await young.start("one");
  await reaches(other, "none");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(statusOf(other).rotation, undefined);
  assert.ok(Date.parse(statusOf(other).automaticRotationAt!) > Date.now());
  await other.stop();
});

test("a request for an authority of the operator is refused with what to do", async () => {
  const cluster = createCluster();
  const made = createMemorySecrets();
  await (
    await openLiveAuthority({
      store: made,
      trustDomain: "operator",
      overlapMilliseconds: 1,
      distributionMilliseconds: 1,
    })
  ).stop();
  await cluster.store.create("cacerts", (await made.read("istio-ca-secret"))!);
  const one = await cluster.start("one");
  cluster.request = "first";
  await eventually("refused", () => one.driver.status()?.refused?.request === "first");
  assert.match(statusOf(one).refused!.reason, /Secret cacerts.*docs\/certificates\.md/);
  assert.is(statusOf(one).origin, "operator");
  assert.is(one.authority.trustedRoots().length, 1);
  await one.stop();
});

test.run();
