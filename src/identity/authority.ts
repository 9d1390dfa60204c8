import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, type X509Certificate } from "node:crypto";
import { type CertificateRequest, crossSign, parseCertificates, pathLengthOf, signCertificate } from "./x509.js";

export type SecretData = Readonly<Record<string, string>>;

/** Secrets of the control plane's namespace; values are file contents. */
export interface SecretStore {
  readonly read: (name: string) => Promise<SecretData | undefined>;
  /** "exists" if another replica was first; then nothing is changed. */
  readonly create: (name: string, data: SecretData) => Promise<"created" | "exists">;
  /** Replaces what is there, or creates it; `change` is asked again when another replica was quicker. */
  readonly update: (name: string, change: (data: SecretData | undefined) => SecretData) => Promise<void>;
}

export interface IssuedCertificate {
  /** Leaf first, then intermediates; without the root. */
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly notAfter: Date;
}

export interface CertificateAuthority {
  readonly rootsPem: string;
  /** The one of them that its certificates lead to. */
  readonly rootPem: string;
  readonly origin: "operator" | "self-made";
  readonly notAfter: Date;
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
  ) => Promise<{ readonly certificateChainPem: string; readonly notAfter: Date }>;
  /** Makes a P-256 key and signs it. The key is held in memory only. */
  readonly issue: (
    subject: Pick<CertificateRequest, "uri" | "dnsNames" | "organization" | "organizationalUnits">,
    lifetimeSeconds: number,
  ) => Promise<IssuedCertificate>;
}

export const selfMadeSecret = "istio-ca-secret";
export const operatorSecret = "cacerts";

const day = 86_400;
const rootLifetimeDays = 3650;
/** Certificates begin this much in the past, for clocks that are behind. */
const skewMilliseconds = 120_000;

const requireKey = (data: SecretData, secret: string, key: string): string => {
  const value = data[key];
  if (value === undefined || value.trim() === "")
    throw new Error(`Secret ${secret}: ${key} is missing; put the PEM there, in the layout of Istio's cacerts`);
  return value;
};

const readCertificates = (pem: string, what: string): readonly X509Certificate[] => {
  let certificates: readonly X509Certificate[];
  try {
    certificates = parseCertificates(pem);
  } catch {
    throw new Error(`${what}: a PEM block is not a certificate; replace it`);
  }
  if (certificates.length === 0) throw new Error(`${what}: holds no PEM certificate; add one`);
  return certificates;
};

const readPrivateKey = (pem: string, what: string): KeyObject => {
  try {
    return createPrivateKey(pem);
  } catch {
    // The parser's own message could quote what it was given.
    throw new Error(`${what}: is not an unencrypted PEM private key; replace it`);
  }
};

interface AuthorityMaterial {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
  /** Certificates between ours and a root, ours first; empty if ours is a root. */
  readonly intermediates: readonly X509Certificate[];
  readonly root: X509Certificate;
  readonly rootsPem: string;
  readonly origin: "operator" | "self-made";
}

/** Checks a Secret of Istio's layout: ca-cert.pem, ca-key.pem, and for an intermediate root-cert.pem, cert-chain.pem. */
export const readAuthority = (data: SecretData, secret: string, now: Date = new Date()): AuthorityMaterial => {
  const at = (key: string): string => `Secret ${secret}: ${key}`;
  const own = readCertificates(requireKey(data, secret, "ca-cert.pem"), at("ca-cert.pem"));
  const certificate = own[0]!;
  const key = readPrivateKey(requireKey(data, secret, "ca-key.pem"), at("ca-key.pem"));
  if (!certificate.checkPrivateKey(key))
    throw new Error(`${at("ca-key.pem")}: does not belong to ca-cert.pem; supply the pair`);
  if (!certificate.ca)
    throw new Error(`${at("ca-cert.pem")}: is not a certificate authority (basicConstraints CA:TRUE is missing)`);
  if (certificate.validToDate <= now)
    throw new Error(`${at("ca-cert.pem")}: expired at ${certificate.validToDate.toISOString()}; supply a new one`);
  if (certificate.validFromDate > now)
    throw new Error(`${at("ca-cert.pem")}: not valid before ${certificate.validFromDate.toISOString()}`);
  const rootsPem = data["root-cert.pem"] ?? own.map(String).join("");
  const roots = readCertificates(rootsPem, at("root-cert.pem"));
  const chain = [
    ...own,
    ...(data["cert-chain.pem"] ? readCertificates(data["cert-chain.pem"], at("cert-chain.pem")) : []),
  ];
  const isRoot = (candidate: X509Certificate): boolean =>
    roots.some((root) => root.fingerprint256 === candidate.fingerprint256);
  const path: X509Certificate[] = [];
  let current = certificate;
  while (!isRoot(current)) {
    path.push(current);
    const signer = [...roots, ...chain].find(
      (candidate) => candidate !== current && current.checkIssued(candidate) && current.verify(candidate.publicKey),
    );
    if (signer === undefined || path.length > 10)
      throw new Error(
        `${at("ca-cert.pem")}: does not lead to a root in root-cert.pem; add the missing intermediates to cert-chain.pem`,
      );
    current = signer;
  }
  return {
    key,
    certificate,
    intermediates: path,
    root: current,
    rootsPem: roots.map(String).join(""),
    origin: secret === operatorSecret ? "operator" : "self-made",
  };
};

const makeRoot = async (trustDomain: string): Promise<SecretData> => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const now = Date.now();
  const certificate = await signCertificate(
    {
      organization: trustDomain,
      publicKey,
      notBefore: new Date(now - skewMilliseconds),
      notAfter: new Date(now + rootLifetimeDays * day * 1000),
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

/** The signing authority of this material. */
export const authorityOf = (material: AuthorityMaterial): CertificateAuthority => {
  const { key, certificate, root, intermediates, rootsPem } = material;
  const intermediatesPem = intermediates.map(String).join("");
  const path = [...intermediates, root];
  const sign: CertificateAuthority["sign"] = async (subject, publicKey, lifetimeSeconds) => {
    const now = Date.now();
    // A certificate that outlives its signer fails at some later hour; better early and in sight.
    const notAfter = new Date(Math.min(now + lifetimeSeconds * 1000, certificate.validToDate.getTime()));
    if (notAfter.getTime() <= now) throw new Error("the certificate authority has expired; supply a new one");
    const leaf = await signCertificate(
      { ...subject, publicKey, notBefore: new Date(now - skewMilliseconds), notAfter, isAuthority: false },
      { key, certificate },
    );
    return { certificateChainPem: leaf + intermediatesPem, notAfter };
  };
  return {
    rootsPem,
    rootPem: root.toString(),
    origin: material.origin,
    notAfter: certificate.validToDate,
    fingerprint: createHash("sha256").update(path.join("")).update(rootsPem).digest("hex"),
    depth: path.length,
    certify: async (other) => {
      const allowed = path.every((above, at) => (pathLengthOf(above) ?? Number.POSITIVE_INFINITY) >= other.depth + at);
      if (!allowed) return undefined;
      const validity = { notBefore: new Date(Date.now() - skewMilliseconds), notAfter: certificate.validToDate };
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
export const openAuthority = async (store: SecretStore, trustDomain: string): Promise<CertificateAuthority> => {
  const operator = await store.read(operatorSecret);
  if (operator !== undefined) return authorityOf(readAuthority(operator, operatorSecret));
  const existing = await store.read(selfMadeSecret);
  if (existing !== undefined) return authorityOf(readAuthority(existing, selfMadeSecret));
  await store.create(selfMadeSecret, await makeRoot(trustDomain));
  const agreed = await store.read(selfMadeSecret);
  if (agreed === undefined) throw new Error(`Secret ${selfMadeSecret}: is gone right after it was made; start again`);
  return authorityOf(readAuthority(agreed, selfMadeSecret));
};

export const spiffeId = (trustDomain: string, namespace: string, serviceAccount: string): string =>
  `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
