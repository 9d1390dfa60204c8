import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mock } from "node:test";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openAuthority } from "../../../src/identity/authority.js";
import { clockSkewMilliseconds } from "../../../src/identity/authority-secret.js";
import { createMemorySecrets } from "../../../src/identity/memory-secrets.js";
import { createWorkloadCertificates, type WorkloadSecrets } from "../../../src/identity/workload.js";

/** Clocks of proxies that are wrong: behind by as much as certificates begin in the past, or ahead by a fifth of a life. */
const hour = 3_600_000;
const uri = "spiffe://cluster.local/ns/shop/sa/cart";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Simulates a mesh for some lifetimes; tells of each proxy's certificate at many moments. */
const simulate = async (
  lifetimeMilliseconds: number,
  check: (held: WorkloadSecrets, now: number) => void,
): Promise<number> => {
  mock.timers.enable({ apis: ["setTimeout", "Date"], now: Date.UTC(2030, 0, 1) });
  try {
    const authority = await openAuthority(createMemorySecrets(), "cluster.local");
    const certificates = createWorkloadCertificates({
      authority: () => authority,
      trustDomain: "cluster.local",
      lifetimeSeconds: lifetimeMilliseconds / 1000,
      failed: (error) => assert.unreachable(error.message),
    });
    let renewals = 0;
    const held = new Map<number, WorkloadSecrets>();
    const subscriptions = await Promise.all(
      [0, 1, 2].map((pod) =>
        certificates.subscribe("shop", "cart", (secrets) => {
          renewals += 1;
          held.set(pod, secrets);
        }),
      ),
    );
    for (const [pod, { current }] of subscriptions.entries()) held.set(pod, current);
    const step = Math.floor(lifetimeMilliseconds / 40);
    for (let at = 0; at < 3 * lifetimeMilliseconds; at += step) {
      for (const secrets of held.values()) check(secrets, Date.now());
      mock.timers.tick(step);
      await settled();
    }
    for (const { stop } of subscriptions) stop();
    return renewals;
  } finally {
    mock.timers.reset();
  }
};

test("whatever certificate a proxy holds, clocks within the tolerance take it at every moment", () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 48 }),
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 5, maxLength: 5 }),
      async (hours, parts) => {
        const lifetime = hours * hour;
        // The last step before a renewal is up to a fortieth of the lifetime late here.
        const [behind, ahead] = [-clockSkewMilliseconds, lifetime * 0.17];
        const skews = [behind, ahead, ...parts.map((part) => behind + part * (ahead - behind))];
        const renewals = await simulate(lifetime, ({ certificateChainPem }, now) => {
          const leaf = new X509Certificate(certificateChainPem);
          for (const skew of skews) {
            // A certificate has whole seconds.
            assert.ok(leaf.validFromDate.getTime() <= now + skew + 1000, `not yet valid at a skew of ${skew} ms`);
            assert.ok(leaf.validToDate.getTime() > now + skew - 1000, `expired at a skew of ${skew} ms`);
          }
        });
        assert.ok(renewals >= 9, `${renewals} renewals`);
      },
    ),
    { numRuns: 12 },
  ));

test("OpenSSL with a wrong clock takes a new certificate and its new root within the tolerance, and not beyond", async () => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
  try {
    const authority = await openAuthority(createMemorySecrets(), "cluster.local");
    writeFileSync(join(folder, "root.pem"), authority.rootsPem);
    writeFileSync(join(folder, "leaf.pem"), (await authority.issue({ uri }, 24 * 3600)).certificateChainPem);
    const verifies = (skewMilliseconds: number): boolean => {
      const at = String(Math.floor((Date.now() + skewMilliseconds) / 1000));
      try {
        const words = ["verify", "-attime", at, "-x509_strict", "-CAfile", "root.pem", "leaf.pem"];
        execFileSync("openssl", words, { cwd: folder, stdio: "pipe" });
        return true;
      } catch {
        return false;
      }
    };
    const beyond = -clockSkewMilliseconds - 10_000;
    const skews = [beyond, -clockSkewMilliseconds + 5000, -1000, 0, 4.8 * hour, 23.9 * hour, 24.1 * hour];
    assert.equal(skews.map(verifies), [false, true, true, true, true, true, false]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.run();
