import { fingerprintOf } from "../../identity/authority.js";
import type { LiveAuthority } from "../../identity/live-authority.js";
import type { Holding, Holdings } from "./holdings.js";

/** What one replica answers to GET /identities. */
export interface Identities {
  readonly replica: string;
  /** SHA-256 of the root that certificates of now lead to. */
  readonly signingRoot: string;
  readonly identities: readonly Holding[];
}

export const identitiesOf = (replica: string, authority: LiveAuthority, holdings: Holdings): Identities => ({
  replica,
  signingRoot: fingerprintOf(authority.rootPem),
  identities: holdings.list(),
});
