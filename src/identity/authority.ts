import { createHash, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  type AuthorityMaterial,
  clockSkewMilliseconds,
  operatorSecret,
  readAuthority,
  type SecretData,
  selfMadeSecret,
} from "./authority-secret.js";
import { type CertificateRequest, crossSign, parseCertificates, pathLengthOf, signCertificate } from "./x509.js";

/** Secrets of the control plane's namespace; values are file contents. */
export interface SecretStore {
  readonly read: (name: string) => Promise<SecretData | undefined>;
  /** "exists" if another replica was first; then nothing is changed. */
  readonly create: (name: string, data: SecretData) => Promise<"created" | "exists">;
  /**
   * Replaces what is there, or creates it; `change` is asked again when another replica was quicker, and nothing is
   * written if it gives nothing.
   */
  readonly update: (name: string, change: (data: SecretData | undefined) => SecretData | undefined) => Promise<void>;
}

export interface IssuedCertificate {
  /** Leaf first, then intermediates; without the root. */
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly notAfter: Date;
  /** SHA-256 of the root that it leads to. */
  readonly root: string;
}

export interface CertificateAuthority {
  readonly rootsPem: string;
  /** The one of them that its certificates lead to. */
  readonly rootPem: string;
  readonly origin: "operator" | "self-made";
  /** When the first certificate of its path expires. */
  readonly notAfter: Date;
  /** Of the signing certificate and its path: the same means that the same key signs. */
  readonly issuer: string;
  /** Of the signing certificate, its path and its roots: another one means another authority. */
  readonly fingerprint: string;
  /** How many authorities a certificate's path has, its root included. */
  readonly depth: number;
  /**
   * Certifies the root of another authority for those who trust only this one: the chain that its servers send besides
   * their own. Nothing if a pathLenConstraint of this one forbids it.
   */
  readonly certify: (other: CertificateAuthority) => Promise<string | undefined>;
  /** Signs a key that the caller holds; gives the chain, leaf first. */
  readonly sign: (
    subject: Pick<CertificateRequest, "uri" | "dnsNames" | "organization" | "organizationalUnits">,
    /** A key, or the DER of its SubjectPublicKeyInfo. */
    publicKey: KeyObject | Buffer,
    lifetimeSeconds: number,
  ) => Promise<Omit<IssuedCertificate, "privateKeyPem">>;
  /** Makes a P-256 key and signs it. The key is held in memory only. */
  readonly issue: (
    subject: Pick<CertificateRequest, "uri" | "dnsNames" | "organization" | "organizationalUnits">,
    lifetimeSeconds: number,
  ) => Promise<IssuedCertificate>;
}

/** Ten years. */
export const defaultRootLifetimeMilliseconds = 3650 * 86_400_000;

/** A root of our own in Istio's layout: ca-cert.pem, ca-key.pem, root-cert.pem. */
export const makeRoot = async (trustDomain: string, lifetimeMilliseconds: number): Promise<SecretData> => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const now = Date.now();
  const certificate = await signCertificate(
    {
      organization: trustDomain,
      publicKey,
      notBefore: new Date(now - clockSkewMilliseconds),
      notAfter: new Date(now + lifetimeMilliseconds),
      isAuthority: true,
    },
    { key: privateKey },
  );
  return {
    "ca-cert.pem": certificate,
    "ca-key.pem": privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    "root-cert.pem": certificate,
  };
};

/** SHA-256 of a certificate's DER in hex, as OpenSSL's -fingerprint without colons. */
export const fingerprintOf = (pem: string): string =>
  (parseCertificates(pem)[0]?.fingerprint256 ?? "").replaceAll(":", "").toLowerCase();

/** The signing authority of this material. */
export const authorityOf = (material: AuthorityMaterial): CertificateAuthority => {
  const { key, certificate, root, intermediates, rootsPem } = material;
  const intermediatesPem = intermediates.map(String).join("");
  const path = [...intermediates, root];
  const end = Math.min(...path.map(({ validToDate }) => validToDate.getTime()));
  const rootFingerprint = fingerprintOf(root.toString());
  const sign: CertificateAuthority["sign"] = async (subject, publicKey, lifetimeSeconds) => {
    const now = Date.now();
    // A certificate that outlives its signer fails at some later hour; better early and in sight.
    const notAfter = new Date(Math.min(now + lifetimeSeconds * 1000, end));
    if (notAfter.getTime() <= now) throw new Error("the certificate authority has expired; supply a new one");
    const leaf = await signCertificate(
      { ...subject, publicKey, notBefore: new Date(now - clockSkewMilliseconds), notAfter, isAuthority: false },
      { key, certificate },
    );
    return { certificateChainPem: leaf + intermediatesPem, notAfter, root: rootFingerprint };
  };
  return {
    rootsPem,
    rootPem: root.toString(),
    origin: material.origin,
    notAfter: new Date(end),
    issuer: createHash("sha256").update(path.join("")).digest("hex"),
    fingerprint: createHash("sha256").update(path.join("")).update(rootsPem).digest("hex"),
    depth: path.length,
    certify: async (other) => {
      const allowed = path.every((above, at) => (pathLengthOf(above) ?? Number.POSITIVE_INFINITY) >= other.depth + at);
      if (!allowed) return undefined;
      const validity = { notBefore: new Date(Date.now() - clockSkewMilliseconds), notAfter: new Date(end) };
      const [theirs] = parseCertificates(other.rootPem);
      return (await crossSign(theirs!, validity, { key, certificate })) + intermediatesPem;
    },
    sign,
    issue: async (subject, lifetimeSeconds) => {
      // A P-256 key takes less time than the way to another thread and back.
      const { publicKey, privateKey } = generateKeyPairSync("ec", {
        namedCurve: "P-256",
        publicKeyEncoding: { type: "spki", format: "der" },
        privateKeyEncoding: { type: "pkcs8", format: "pem" },
      });
      return { ...(await sign(subject, publicKey, lifetimeSeconds)), privateKeyPem: privateKey };
    },
  };
};

/**
 * The mesh's authority: the operator's (`cacerts`) if there is one, else the self-made root, made on first start. Of
 * several replicas that start at once, the one whose Secret is created is the one that all use.
 * Throws an Error that names Secret, key and cure.
 */
export const openAuthority = async (
  store: SecretStore,
  trustDomain: string,
  rootLifetimeMilliseconds: number = defaultRootLifetimeMilliseconds,
): Promise<CertificateAuthority> => {
  const operator = await store.read(operatorSecret);
  if (operator !== undefined) return authorityOf(readAuthority(operator, operatorSecret));
  const existing = await store.read(selfMadeSecret);
  if (existing !== undefined) return authorityOf(readAuthority(existing, selfMadeSecret));
  await store.create(selfMadeSecret, await makeRoot(trustDomain, rootLifetimeMilliseconds));
  const agreed = await store.read(selfMadeSecret);
  if (agreed === undefined) throw new Error(`Secret ${selfMadeSecret}: is gone right after it was made; start again`);
  return authorityOf(readAuthority(agreed, selfMadeSecret));
};

export const spiffeId = (trustDomain: string, namespace: string, serviceAccount: string): string =>
  `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
