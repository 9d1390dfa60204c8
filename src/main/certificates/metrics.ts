import { Counter, Gauge, type Registry } from "prom-client";
import type { SigningOutcome } from "../../identity/certificate-service.js";
import type { LiveAuthority } from "../../identity/live-authority.js";
import { parseCertificates } from "../../identity/x509.js";
import type { AuthorityStatus, Phase } from "./state.js";

/** Whom a certificate is for: a proxy over SDS, a client with a key of its own, heddled's own servers. */
export type CertificateUse = "proxy" | "client" | "server";

export interface CertificateObserver {
  readonly certificate: (use: CertificateUse, outcome: SigningOutcome) => void;
  /** `notAfter` of the serving certificate, whenever there is a new one. */
  readonly servingUntil: (notAfter: Date) => void;
  readonly secretJudged: (secret: string, isUsable: boolean) => void;
}

/** Metrics of issuance; those that begin with `citadel_` have the names and the meaning of istiod's. */
export const createCertificateObserver = (registry: Registry): CertificateObserver => {
  const registers = [registry];
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers });
  const all = new Counter({
    name: "heddle_certificates_total",
    help: "Certificates that were asked for, by whom they are for and by outcome",
    labelNames: ["use", "outcome"],
    registers,
  });
  const asked = counter("citadel_server_csr_count", "Certificates that were asked for");
  const issued = counter("citadel_server_success_cert_issuance_count", "Certificates that were issued");
  const unauthenticated = counter(
    "citadel_server_authentication_failure_count",
    "Requests for a certificate whose token was not good",
  );
  const malformed = counter("citadel_server_csr_parsing_err_count", "Requests whose CSR could not be used");
  const failed = new Counter({
    name: "citadel_server_csr_sign_err_count",
    help: "Certificates that could not be signed",
    labelNames: ["error"],
    registers,
  });
  const rejected = new Gauge({
    name: "heddle_authority_secret_rejected",
    help: "1 while the Secret holds an authority that cannot be used, so that the last good one stays in force",
    labelNames: ["secret"],
    registers,
  });
  const serving = new Gauge({
    name: "heddle_serving_certificate_expiry_timestamp_seconds",
    help: "When the certificate of heddled's own servers expires",
    registers,
  });
  return {
    certificate: (use, outcome) => {
      all.inc({ use, outcome });
      asked.inc();
      if (outcome === "issued") issued.inc();
      else if (outcome === "unauthenticated") unauthenticated.inc();
      else if (outcome === "malformed") malformed.inc();
      else if (outcome === "failed") failed.inc({ error: "signing" });
    },
    servingUntil: (notAfter) => serving.set(notAfter.getTime() / 1000),
    secretJudged: (secret, isUsable) => rejected.set({ secret }, isUsable ? 0 : 1),
  };
};

const phases: readonly Phase[] = ["none", "distributing", "reissuing", "retiring"];

/** Metrics of the authority, looked up when they are asked for. */
export const observeAuthority = (
  registry: Registry,
  authority: LiveAuthority,
  status: () => AuthorityStatus | undefined,
): void => {
  const rootEnd = (): number => (parseCertificates(authority.rootPem)[0]?.validToDate.getTime() ?? 0) / 1000;
  const chainEnd = (): number => authority.notAfter.getTime() / 1000;
  const looked = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  };
  const left = (end: () => number) => (): number => end() - Date.now() / 1000;
  looked(
    "citadel_server_root_cert_expiry_timestamp",
    "When the root that signs expires, in seconds since 1970",
    rootEnd,
  );
  looked("citadel_server_root_cert_expiry_seconds", "Seconds until the root that signs expires", left(rootEnd));
  looked(
    "citadel_server_cert_chain_expiry_timestamp",
    "When the first certificate of the signing chain expires, in seconds since 1970",
    chainEnd,
  );
  looked(
    "citadel_server_cert_chain_expiry_seconds",
    "Seconds until the first certificate of the signing chain expires",
    left(chainEnd),
  );
  looked("heddle_trusted_roots", "Roots that proxies are told to trust", () => authority.trustedRoots().length);
  new Gauge({
    name: "heddle_root_rotation_phase",
    help: "1 for the phase that the root's rotation is in; only the replica that drives it says so",
    labelNames: ["phase"],
    registers: [registry],
    collect() {
      this.reset();
      const current = status()?.phase;
      if (current !== undefined) for (const phase of phases) this.set({ phase }, phase === current ? 1 : 0);
    },
  });
};
