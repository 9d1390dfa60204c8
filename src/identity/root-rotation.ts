import { authorityOf, type CertificateAuthority, fingerprintOf, makeRoot } from "./authority.js";
import { readAuthority, type SecretData, selfMadeSecret } from "./authority-secret.js";

/**
 * The rotation of the self-made root as its Secret holds it. First the next root lies beside the one that signs
 * (`next-ca-cert.pem`, `next-ca-key.pem`), and root-cert.pem holds both; once everyone trusts both, the next one takes the
 * place of the other. When the earlier root stops to be trusted is no concern of this Secret: `heddle-trust` says so.
 */
export interface RootRotation {
  /** What asked for it, so that it is not begun twice. */
  readonly request: string;
  readonly reason: "requested" | "expiry";
  /** RFC 3339, as the next. */
  readonly startedAt: string;
  /** Since when the new root signs; absent while it only has to become trusted. */
  readonly signingSince?: string;
}

const rotationKey = "rotation.json";
const next = { certificate: "next-ca-cert.pem", key: "next-ca-key.pem" } as const;

const isRotation = (value: unknown): value is RootRotation => {
  const { request, reason, startedAt, signingSince } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof request === "string" &&
    (reason === "requested" || reason === "expiry") &&
    typeof startedAt === "string" &&
    (signingSince === undefined || typeof signingSince === "string")
  );
};

/** The rotation that is under way, or the last one; nothing if there was none, or if what is written there is no such thing. */
export const readRotation = (data: SecretData): RootRotation | undefined => {
  try {
    const value: unknown = JSON.parse(data[rotationKey] ?? "null");
    return isRotation(value) ? value : undefined;
  } catch {
    return undefined;
  }
};

/** The root that is to sign next, while it becomes trusted. Throws an Error that names Secret, key and cure. */
export const nextAuthorityOf = (data: SecretData): CertificateAuthority | undefined => {
  const certificate = data[next.certificate];
  if (certificate === undefined) return undefined;
  try {
    const authority = { "ca-cert.pem": certificate, "ca-key.pem": data[next.key] ?? "", "root-cert.pem": certificate };
    return authorityOf(readAuthority(authority, selfMadeSecret));
  } catch (error) {
    const message = (error as Error).message.replaceAll(/(ca-cert|ca-key)\.pem/g, "next-$1.pem");
    throw new Error(`${message}; or take next-ca-cert.pem and next-ca-key.pem out of the Secret to end this rotation`);
  }
};

/** SHA-256 of the root that is to sign next. */
export const nextRootOf = (data: SecretData): string | undefined => {
  const certificate = data[next.certificate];
  return certificate === undefined ? undefined : fingerprintOf(certificate);
};

export interface RotationStart {
  readonly request: string;
  readonly reason: RootRotation["reason"];
  readonly trustDomain: string;
  readonly rootLifetimeMilliseconds: number;
}

/** What begins a rotation, for `SecretStore.update`: nothing changes if another has begun one. */
export const beginRotation = async (
  start: RotationStart,
): Promise<(data: SecretData | undefined) => SecretData | undefined> => {
  const { "ca-cert.pem": certificate, "ca-key.pem": key } = await makeRoot(
    start.trustDomain,
    start.rootLifetimeMilliseconds,
  );
  const rotation: RootRotation = {
    request: start.request,
    reason: start.reason,
    startedAt: new Date().toISOString(),
  };
  return (data) => {
    if (data === undefined || data[next.certificate] !== undefined) return undefined;
    const current = data["root-cert.pem"] ?? data["ca-cert.pem"] ?? "";
    return {
      ...data,
      [next.certificate]: certificate!,
      [next.key]: key!,
      "root-cert.pem": `${current.trim()}\n${certificate}`,
      [rotationKey]: JSON.stringify(rotation),
    };
  };
};

/** Lets the next root sign; nothing changes if it is not the one that everyone was seen to trust. */
export const completeRotation =
  (trustedRoot: string) =>
  (data: SecretData | undefined): SecretData | undefined => {
    if (data === undefined || nextRootOf(data) !== trustedRoot) return undefined;
    const { [next.certificate]: certificate, [next.key]: key, ...rest } = data;
    const rotation = readRotation(data) ?? { request: "", reason: "requested", startedAt: new Date().toISOString() };
    return {
      ...rest,
      "ca-cert.pem": certificate!,
      "ca-key.pem": key!,
      "root-cert.pem": certificate!,
      [rotationKey]: JSON.stringify({ ...rotation, signingSince: new Date().toISOString() }),
    };
  };
