import { fingerprintOf } from "./authority.js";
import type { SecretData } from "./authority-secret.js";
import { noTrust, readTrust, type Trust, writeTrust } from "./trust.js";

/** Holds the roots that are or were in force, so that a restart during an overlap forgets none. */
export const trustSecret = "heddle-trust";
const trustKey = "trust.json";

/** Throws an Error that names Secret, key and cure. */
export const readTrustSecret = (data: SecretData | undefined): Trust => {
  const text = data?.[trustKey];
  if (text === undefined) return noTrust;
  try {
    return readTrust(text);
  } catch (error) {
    throw new Error(
      `Secret ${trustSecret}: ${trustKey}: ${(error as Error).message}; delete the Secret, it is made anew and then knows the roots of now only`,
    );
  }
};

export const trustSecretOf = (trust: Trust): SecretData => ({ [trustKey]: writeTrust(trust) });

/**
 * Takes a root that is in force no more out of the Secret before its time, by its SHA-256; nothing changes if it is not
 * there or is in force. What certifies the new root for those who know only this one stays: they can go on until they
 * are restarted.
 */
export const distrustRoot =
  (sha256: string) =>
  (data: SecretData | undefined): SecretData | undefined => {
    const trust = readTrustSecret(data);
    const isUnwanted = ({ pem, until }: Trust["roots"][number]): boolean =>
      until !== undefined && fingerprintOf(pem) === sha256;
    if (!trust.roots.some(isUnwanted)) return undefined;
    return trustSecretOf({ ...trust, roots: trust.roots.filter((root) => !isUnwanted(root)) });
  };
