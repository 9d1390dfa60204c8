/** What is known of an issuer's keys that are fetched; see `KeySource` for its id. */
export interface KeySet {
  /** The public keys, as a JSON Web Key Set; undefined as long as none have been fetched. */
  readonly jwks: string | undefined;
  /** Why the last try has failed, in words that hold nothing of what was answered; undefined after a success. */
  readonly failure: string | undefined;
}
