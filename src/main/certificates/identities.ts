import type { MeshConfig } from "../../api/meshconfig.js";
import { fingerprintOf } from "../../identity/authority.js";
import type { LiveAuthority } from "../../identity/live-authority.js";
import type { Holding, Holdings } from "./holdings.js";

/** Who gives proxies their certificates. */
export type CertificateSource = "heddled" | "spire";

export const sourceOf = ({ spire }: MeshConfig): CertificateSource => (spire === undefined ? "heddled" : "spire");

/** What one replica answers to GET /identities. */
export interface Identities {
  readonly replica: string;
  /** SHA-256 of the root that certificates of now lead to. */
  readonly signingRoot: string;
  /** None where SPIRE gives the certificates, which heddled does not see. */
  readonly identities: readonly Holding[];
  readonly source: CertificateSource;
}

export const identitiesOf = (
  replica: string,
  authority: LiveAuthority,
  holdings: Holdings,
  source: CertificateSource,
): Identities => ({
  replica,
  signingRoot: fingerprintOf(authority.rootPem),
  identities: holdings.list(),
  source,
});
