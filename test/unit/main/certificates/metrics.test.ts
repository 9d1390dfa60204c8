import { Registry } from "prom-client";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openLiveAuthority } from "../../../../src/identity/live-authority.js";
import { createMemorySecrets } from "../../../../src/identity/memory-secrets.js";
import { createCertificateObserver, observeAuthority } from "../../../../src/main/certificates/metrics.js";
import type { AuthorityStatus } from "../../../../src/main/certificates/state.js";
import { makeAuthority } from "../../../support/authorities.js";

const numberOf = async (registry: Registry, line: string): Promise<number | undefined> => {
  const found = (await registry.metrics()).split("\n").find((candidate) => candidate.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.slice(line.length + 1));
};

test("each outcome counts under Istio's name for it, and under our own by use", async () => {
  const registry = new Registry();
  const { certificate } = createCertificateObserver(registry);
  for (const outcome of ["issued", "unauthenticated", "malformed", "refused", "failed"] as const)
    certificate("client", outcome);
  certificate("proxy", "issued");
  const expected = {
    citadel_server_csr_count: 6,
    citadel_server_success_cert_issuance_count: 2,
    citadel_server_authentication_failure_count: 1,
    citadel_server_csr_parsing_err_count: 1,
    'citadel_server_csr_sign_err_count{error="signing"}': 1,
    'heddle_certificates_total{use="client",outcome="refused"}': 1,
    'heddle_certificates_total{use="proxy",outcome="issued"}': 1,
  };
  for (const [line, value] of Object.entries(expected)) assert.is(await numberOf(registry, line), value, line);
});

test("the root and the chain have expiries of their own, and follow another authority", async () => {
  const registry = new Registry();
  const authority = await openLiveAuthority({
    store: createMemorySecrets(),
    trustDomain: "cluster.local",
    overlapMilliseconds: 60_000,
    distributionMilliseconds: 10,
  });
  let status: AuthorityStatus | undefined;
  observeAuthority(registry, authority, () => status);
  assert.is(await numberOf(registry, "heddle_trusted_roots"), 1);
  const root = makeAuthority("root", { days: 100 });
  const issuer = makeAuthority("issuer", { by: root, days: 5 });
  const before = authority.rootPem;
  authority.secretChanged("cacerts", {
    "tls.crt": issuer.certificate,
    "tls.key": issuer.key,
    "ca.crt": root.certificate,
  });
  const deadline = Date.now() + 10_000;
  while (authority.rootPem === before && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  const days = async (line: string): Promise<number> => Math.round(((await numberOf(registry, line)) ?? 0) / 86_400);
  assert.is(await days("citadel_server_root_cert_expiry_seconds"), 100);
  assert.is(await days("citadel_server_cert_chain_expiry_seconds"), 5);
  const now = Math.round(Date.now() / 86_400_000);
  assert.ok(Math.abs((await days("citadel_server_cert_chain_expiry_timestamp")) - now - 5) <= 1);
  assert.ok(Math.abs((await days("citadel_server_root_cert_expiry_timestamp")) - now - 100) <= 1);
  assert.is(await numberOf(registry, "heddle_trusted_roots"), 2);
  assert.is(
    await numberOf(registry, 'heddle_root_rotation_phase{phase="retiring"}'),
    undefined,
    "another replica drives",
  );
  status = { phase: "retiring" } as AuthorityStatus;
  assert.is(await numberOf(registry, 'heddle_root_rotation_phase{phase="retiring"}'), 1);
  assert.is(await numberOf(registry, 'heddle_root_rotation_phase{phase="none"}'), 0);
  await authority.stop();
});

test.run();
