import { createHash, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import * as der from "./der.js";

const signAsync = promisify<string, Buffer, { key: KeyObject; dsaEncoding: "der" }, Buffer>(sign);

/** What a certificate says of its subject; `uri` is a SPIFFE id. */
export interface CertificateRequest {
  readonly uri?: string;
  readonly dnsNames?: readonly string[];
  /** Absent for workload certificates, whose subject alternative name is critical. */
  readonly organization?: string;
  /** What telemetry knows a workload by; they grant nothing. */
  readonly organizationalUnits?: readonly string[];
  /** A key, or the DER of its SubjectPublicKeyInfo. */
  readonly publicKey: KeyObject | Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isAuthority: boolean;
}

/** Who signs: its key, and the certificate that names it. Absent certificate: self-signed. */
export interface Signer {
  readonly key: KeyObject;
  readonly certificate?: X509Certificate;
}

const oid = {
  ecdsaWithSha256: der.objectIdentifier("1.2.840.10045.4.3.2"),
  sha256WithRsa: der.objectIdentifier("1.2.840.113549.1.1.11"),
  organization: der.objectIdentifier("2.5.4.10"),
  organizationalUnit: der.objectIdentifier("2.5.4.11"),
  basicConstraints: der.objectIdentifier("2.5.29.19"),
  keyUsage: der.objectIdentifier("2.5.29.15"),
  extendedKeyUsage: der.objectIdentifier("2.5.29.37"),
  subjectAlternativeName: der.objectIdentifier("2.5.29.17"),
  subjectKeyIdentifier: der.objectIdentifier("2.5.29.14"),
  authorityKeyIdentifier: der.objectIdentifier("2.5.29.35"),
  serverAuthentication: der.objectIdentifier("1.3.6.1.5.5.7.3.1"),
  clientAuthentication: der.objectIdentifier("1.3.6.1.5.5.7.3.2"),
} as const;

const yes = der.write(der.tag.boolean, Buffer.from([0xff]));
const versionThree = der.write(der.context(0, true), der.write(der.tag.integer, Buffer.from([2])));

const extension = (id: Buffer, isCritical: boolean, value: Buffer): Buffer =>
  isCritical
    ? der.sequence(id, yes, der.write(der.tag.octetString, value))
    : der.sequence(id, der.write(der.tag.octetString, value));

/** BIT STRING of named bits, most significant first: digitalSignature, keyEncipherment; keyCertSign, cRLSign. */
const keyUsage = (...bytes: readonly number[]): Buffer =>
  extension(oid.keyUsage, true, der.write(der.tag.bitString, Buffer.from(bytes)));

/** The parts of a certificate that are the same for every one of its sort, encoded once. */
const leafExtensions = Buffer.concat([
  keyUsage(0x05, 0xa0),
  extension(oid.basicConstraints, true, der.sequence()),
  extension(oid.extendedKeyUsage, false, der.sequence(oid.serverAuthentication, oid.clientAuthentication)),
]);
const authorityExtensions = Buffer.concat([
  keyUsage(0x01, 0x06),
  extension(oid.basicConstraints, true, der.sequence(yes)),
]);

/** The fields of a tbsCertificate, its optional version left out. */
const fieldsOf = (certificate: X509Certificate): readonly der.Element[] => {
  const [tbs] = der.readAll(der.readExactly(certificate.raw, der.tag.sequence).content);
  const fields = der.readAll(tbs!.content);
  return fields[0]!.tag === der.context(0, true) ? fields.slice(1) : fields;
};

/** The value of an extension, as DER. */
const extensionOf = (fields: readonly der.Element[], id: Buffer): Buffer | undefined => {
  const wrapped = fields.find((field) => field.tag === der.context(3, true));
  if (wrapped === undefined) return undefined;
  for (const item of der.readAll(der.readExactly(wrapped.content, der.tag.sequence).content)) {
    const parts = der.readAll(item.content);
    if (parts[0]?.whole.equals(id)) return parts.at(-1)!.content;
  }
  return undefined;
};

/** What of a signing certificate goes into every certificate it signs. */
interface Issuer {
  readonly name: Buffer;
  readonly keyId: Buffer | undefined;
  /** The authorityKeyIdentifier extension; empty if the signer has no key id. */
  readonly authorityKeyId: Buffer;
}

const issuers = new WeakMap<X509Certificate, Issuer>();

const issuerOf = (certificate: X509Certificate): Issuer => {
  const known = issuers.get(certificate);
  if (known !== undefined) return known;
  const fields = fieldsOf(certificate);
  const identifier = extensionOf(fields, oid.subjectKeyIdentifier);
  const keyId = identifier === undefined ? undefined : der.readExactly(identifier, der.tag.octetString).content;
  const issuer = {
    // serialNumber, signature, issuer, validity, subject.
    name: fields[4]!.whole,
    keyId,
    authorityKeyId:
      keyId === undefined
        ? Buffer.alloc(0)
        : extension(oid.authorityKeyIdentifier, false, der.sequence(der.write(der.context(0, false), keyId))),
  };
  issuers.set(certificate, issuer);
  return issuer;
};

const nameOf = ({ organization, organizationalUnits = [] }: CertificateRequest): Buffer => {
  const attribute = (type: Buffer, value: string): Buffer =>
    der.write(der.tag.set, der.sequence(type, der.write(der.tag.utf8String, Buffer.from(value, "utf8"))));
  return der.sequence(
    ...(organization === undefined ? [] : [attribute(oid.organization, organization)]),
    ...organizationalUnits.map((unit) => attribute(oid.organizationalUnit, unit)),
  );
};

const subjectKeyId = (id: Buffer): Buffer =>
  extension(oid.subjectKeyIdentifier, false, der.write(der.tag.octetString, id));

const alternativeNames = (request: CertificateRequest): Buffer => {
  const names = [
    ...(request.uri === undefined ? [] : [der.write(der.context(6, false), Buffer.from(request.uri, "latin1"))]),
    ...(request.dnsNames ?? []).map((name) => der.write(der.context(2, false), Buffer.from(name, "latin1"))),
  ];
  if (names.length === 0) return Buffer.alloc(0);
  return extension(oid.subjectAlternativeName, request.organization === undefined, der.sequence(...names));
};

const algorithms = {
  ec: der.sequence(oid.ecdsaWithSha256),
  rsa: der.sequence(oid.sha256WithRsa, der.write(der.tag.null)),
} as const;

const algorithmOf = ({ asymmetricKeyType }: KeyObject): Buffer => {
  if (asymmetricKeyType === "ec" || asymmetricKeyType === "rsa") return algorithms[asymmetricKeyType];
  throw new Error(`a ${asymmetricKeyType} key cannot sign certificates here; use an EC (P-256) or RSA key`);
};

/** An EC signature takes less time than the way to another thread and back; an RSA one would hold up everything else. */
const signed = (bytes: Buffer, key: KeyObject): Buffer | Promise<Buffer> =>
  key.asymmetricKeyType === "ec"
    ? sign("sha256", bytes, { key, dsaEncoding: "der" })
    : signAsync("sha256", bytes, { key, dsaEncoding: "der" });

const pemOf = (certificate: Buffer): string => {
  const base64 = certificate.toString("base64");
  let lines = "";
  for (let at = 0; at < base64.length; at += 64) lines += `${base64.slice(at, at + 64)}\n`;
  return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`;
};

const spkiOf = (key: KeyObject | Buffer): Buffer =>
  Buffer.isBuffer(key) ? key : key.export({ type: "spki", format: "der" });

/** The pathLenConstraint of a certificate's basicConstraints: how many authorities may follow it; absent: any number. */
export const pathLengthOf = (certificate: X509Certificate): number | undefined => {
  const value = extensionOf(fieldsOf(certificate), oid.basicConstraints);
  const parts = value === undefined ? [] : der.readAll(der.readExactly(value, der.tag.sequence).content);
  const limit = parts.find((part) => part.tag === der.tag.integer)?.content;
  return limit === undefined ? undefined : Number(BigInt(`0x${limit.toString("hex")}`));
};

const signTo = async (
  request: Pick<CertificateRequest, "publicKey" | "notBefore" | "notAfter">,
  subject: Buffer,
  extensions: readonly Buffer[],
  signer: Signer,
): Promise<string> => {
  const issuer = signer.certificate === undefined ? undefined : issuerOf(signer.certificate);
  const algorithm = algorithmOf(signer.key);
  const serial = randomBytes(16);
  // Positive and of full length, so that its DER is minimal.
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const certificate = der.sequence(
    versionThree,
    der.write(der.tag.integer, serial),
    algorithm,
    issuer?.name ?? subject,
    der.sequence(der.time(request.notBefore), der.time(request.notAfter)),
    subject,
    spkiOf(request.publicKey),
    der.write(der.context(3, true), der.sequence(...extensions, issuer?.authorityKeyId ?? Buffer.alloc(0))),
  );
  const signature = await signed(certificate, signer.key);
  return pemOf(der.sequence(certificate, algorithm, der.write(der.tag.bitString, Buffer.from([0]), signature)));
};

/** Signs an X.509 v3 certificate (RFC 5280) with a random 127-bit serial number; PEM. */
export const signCertificate = (request: CertificateRequest, signer: Signer): Promise<string> => {
  const extensions = request.isAuthority
    ? [authorityExtensions, subjectKeyId(createHash("sha1").update(spkiOf(request.publicKey)).digest())]
    : [leafExtensions];
  return signTo(request, nameOf(request), [...extensions, alternativeNames(request)], signer);
};

/**
 * Certifies another authority, by its own name and key, for those who trust only the signer: its certificates then lead
 * to the signer's root too. PEM.
 */
export const crossSign = (
  authority: X509Certificate,
  validity: Pick<CertificateRequest, "notBefore" | "notAfter">,
  signer: Signer,
): Promise<string> => {
  const { name, keyId } = issuerOf(authority);
  const extensions = [authorityExtensions, ...(keyId === undefined ? [] : [subjectKeyId(keyId)])];
  return signTo({ publicKey: authority.publicKey, ...validity }, name, extensions, signer);
};

/** The PEM blocks of a bundle, in order, each with its line end. */
export const splitCertificates = (pem: string): readonly string[] =>
  (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []).map((block) => `${block}\n`);

/** The certificates of a PEM bundle, in order. Throws on one that is not a certificate. */
export const parseCertificates = (pem: string): readonly X509Certificate[] =>
  splitCertificates(pem).map((block) => new X509Certificate(block));
