import { createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { parseCertificates, pathLengthOf } from "./x509.js";

export type SecretData = Readonly<Record<string, string>>;

export const selfMadeSecret = "istio-ca-secret";
export const operatorSecret = "cacerts";

/** Clocks of two machines may differ by this much: certificates begin as long in the past, and roots stay as long. */
export const clockSkewMilliseconds = 300_000;

export interface AuthorityMaterial {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
  /** Certificates between ours and a root, ours first; empty if ours is a root. */
  readonly intermediates: readonly X509Certificate[];
  readonly root: X509Certificate;
  readonly rootsPem: string;
  readonly origin: "operator" | "self-made";
}

/** Which keys of a Secret hold what: Istio's cacerts, or a kubernetes.io/tls Secret as cert-manager writes it. */
interface Layout {
  readonly name: string;
  readonly certificate: string;
  readonly key: string;
  readonly roots: string;
  readonly chain?: string;
}

const istioLayout: Layout = {
  name: "Istio's cacerts",
  certificate: "ca-cert.pem",
  key: "ca-key.pem",
  roots: "root-cert.pem",
  chain: "cert-chain.pem",
};
const tlsLayout: Layout = {
  name: "a kubernetes.io/tls Secret",
  certificate: "tls.crt",
  key: "tls.key",
  roots: "ca.crt",
};

const textOf = (data: SecretData, key: string | undefined): string | undefined => {
  const value = key === undefined ? undefined : data[key];
  return value === undefined || value.trim() === "" ? undefined : value;
};

/** As in Istio, tls.crt decides if both are there. */
const layoutOf = (data: SecretData): Layout =>
  textOf(data, tlsLayout.certificate) === undefined ? istioLayout : tlsLayout;

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
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The parser's own message could quote what it was given.
    throw new Error(`${what}: is not an unencrypted PEM private key; replace it`);
  }
  if (key.asymmetricKeyType !== "ec" && key.asymmetricKeyType !== "rsa")
    throw new Error(`${what}: is a key of type ${key.asymmetricKeyType}; use an EC (P-256) or RSA key`);
  return key;
};

const isSelfSigned = (certificate: X509Certificate): boolean =>
  certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);

/** The certificates from the signing one to a root, that root included. */
const pathOf = (
  certificate: X509Certificate,
  roots: readonly X509Certificate[],
  chain: readonly X509Certificate[],
): readonly X509Certificate[] | undefined => {
  const path = [certificate];
  for (let current = certificate; !roots.some(({ fingerprint256 }) => fingerprint256 === current.fingerprint256); ) {
    const above = [...roots, ...chain].find(
      (candidate) => candidate !== current && current.checkIssued(candidate) && current.verify(candidate.publicKey),
    );
    if (above === undefined || path.length > 10) return undefined;
    path.push(above);
    current = above;
  }
  return path;
};

/** Throws if a certificate of the path, at this many authorities above the signing one, may not be where it is. */
const checkAuthority = (certificate: X509Certificate, below: number, what: string, now: Date): void => {
  // OpenSSL, which says so, looks at keyUsage too.
  if (!certificate.ca)
    throw new Error(
      `${what}: is not a certificate authority (it needs basicConstraints CA:TRUE and keyUsage keyCertSign); issue it as one, with cert-manager by isCA: true`,
    );
  if (certificate.validToDate <= now)
    throw new Error(`${what}: expired at ${certificate.validToDate.toISOString()}; supply a new one`);
  if (certificate.validFromDate.getTime() > now.getTime() + clockSkewMilliseconds)
    throw new Error(
      `${what}: not valid before ${certificate.validFromDate.toISOString()}; supply one that is, or correct the clocks`,
    );
  const limit = pathLengthOf(certificate) ?? Number.POSITIVE_INFINITY;
  if (limit < below)
    throw new Error(
      `${what}: its pathLenConstraint ${limit} allows ${limit} authorities below it, and there are ${below}; issue it with a greater one`,
    );
};

/**
 * Checks a Secret with an authority: ca-cert.pem, ca-key.pem, and for an intermediate root-cert.pem and cert-chain.pem, or
 * tls.crt, tls.key and ca.crt as cert-manager writes them. Throws an Error that names Secret, key and cure.
 */
export const readAuthority = (data: SecretData, secret: string, now: Date = new Date()): AuthorityMaterial => {
  const layout = layoutOf(data);
  const at = (key: string): string => `Secret ${secret}: ${key}`;
  const required = (key: string): string => {
    const value = textOf(data, key);
    if (value === undefined)
      throw new Error(`${at(key)} is missing; put the PEM there, in the layout of ${layout.name}`);
    return value;
  };
  const own = readCertificates(required(layout.certificate), at(layout.certificate));
  const certificate = own[0]!;
  const key = readPrivateKey(required(layout.key), at(layout.key));
  if (!certificate.checkPrivateKey(key))
    throw new Error(`${at(layout.key)}: does not belong to ${layout.certificate}; supply the pair`);
  checkAuthority(certificate, 0, at(layout.certificate), now);
  const given = textOf(data, layout.roots);
  if (given === undefined && !isSelfSigned(own.at(-1)!))
    throw new Error(
      `${at(layout.roots)} is missing, and ${layout.certificate} is of an intermediate; put the root's PEM there`,
    );
  const roots = given === undefined ? [own.at(-1)!] : readCertificates(given, at(layout.roots));
  const chainPem = textOf(data, layout.chain);
  const chain = [...own, ...(chainPem === undefined ? [] : readCertificates(chainPem, at(layout.chain!)))];
  const path = pathOf(certificate, roots, chain);
  if (path === undefined)
    throw new Error(
      `${at(layout.certificate)}: does not lead to a root in ${layout.roots}; add the missing intermediates to ${layout.chain ?? layout.certificate}, or the right root to ${layout.roots}`,
    );
  const keyOf = (of: X509Certificate): string => {
    if (roots.includes(of)) return layout.roots;
    return own.includes(of) ? layout.certificate : layout.chain!;
  };
  for (const [below, above] of path.entries()) if (below > 0) checkAuthority(above, below, at(keyOf(above)), now);
  return {
    key,
    certificate,
    intermediates: path.slice(0, -1),
    root: path.at(-1)!,
    rootsPem: roots.map(String).join(""),
    origin: secret === operatorSecret ? "operator" : "self-made",
  };
};
