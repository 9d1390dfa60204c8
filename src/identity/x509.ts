import { type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import forge from "node-forge";

const { asn1 } = forge;
const signAsync = promisify<string, Buffer, { key: KeyObject; dsaEncoding: "der" }, Buffer>(sign);

/** What a certificate says of its subject; `uri` is a SPIFFE id. */
export interface CertificateRequest {
  readonly uri?: string;
  readonly dnsNames?: readonly string[];
  /** Absent for workload certificates: RFC 5280 then wants the critical subject alternative name, as SPIFFE does. */
  readonly organization?: string;
  readonly publicKey: KeyObject;
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
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  organization: "2.5.4.10",
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  subjectAlternativeName: "2.5.29.17",
  subjectKeyIdentifier: "2.5.29.14",
  authorityKeyIdentifier: "2.5.29.35",
  serverAuthentication: "1.3.6.1.5.5.7.3.1",
  clientAuthentication: "1.3.6.1.5.5.7.3.2",
} as const;

type Asn1 = forge.asn1.Asn1;

const universal = (type: forge.asn1.Type, value: string | Asn1[]): Asn1 =>
  asn1.create(asn1.Class.UNIVERSAL, type, typeof value !== "string", value as Asn1[]);
const sequence = (...items: Asn1[]): Asn1 => universal(asn1.Type.SEQUENCE, items);
const set = (...items: Asn1[]): Asn1 => universal(asn1.Type.SET, items);
const identifier = (value: string): Asn1 => universal(asn1.Type.OID, asn1.oidToDer(value).getBytes());
const tagged = (tag: number, constructed: boolean, value: string | Asn1[]): Asn1 =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, constructed, value as Asn1[]);
const encode = (value: Asn1): string => asn1.toDer(value).getBytes();
const decode = (der: Buffer): Asn1 => asn1.fromDer(forge.util.createBuffer(der.toString("binary")));

/** RFC 5280 4.1.2.5: UTCTime until 2049, GeneralizedTime after. */
const time = (date: Date): Asn1 =>
  date.getUTCFullYear() < 2050
    ? universal(asn1.Type.UTCTIME, asn1.dateToUtcTime(date) as unknown as string)
    : universal(asn1.Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date) as unknown as string);

const extension = (id: string, critical: boolean, value: Asn1): Asn1 =>
  sequence(
    identifier(id),
    ...(critical ? [universal(asn1.Type.BOOLEAN, "\u00ff")] : []),
    universal(asn1.Type.OCTETSTRING, encode(value)),
  );

/** BIT STRING of named bits, most significant first; digitalSignature is bit 0, keyCertSign 5, cRLSign 6. */
const keyUsage = (isAuthority: boolean): Asn1 =>
  universal(asn1.Type.BITSTRING, isAuthority ? "\u0001\u0006" : "\u0005\u00a0");

const subjectKeyIdOf = (certificate: X509Certificate): string | undefined => {
  const tbs = (decode(certificate.raw).value as Asn1[])[0]!.value as Asn1[];
  const extensions = tbs.find(({ tagClass, type }) => tagClass === asn1.Class.CONTEXT_SPECIFIC && Number(type) === 3);
  const list = ((extensions?.value as Asn1[] | undefined)?.[0]?.value ?? []) as Asn1[];
  const wanted = encode(identifier(oid.subjectKeyIdentifier));
  const found = list.find((item) => encode((item.value as Asn1[])[0]!) === wanted);
  const octets = (found?.value as Asn1[] | undefined)?.at(-1)?.value;
  return typeof octets === "string" ? (asn1.fromDer(octets).value as string) : undefined;
};

/** The subject's DER and key id of a signing certificate: read once, used for every certificate it signs. */
interface Issuer {
  readonly name: Asn1;
  readonly keyId: string | undefined;
}

const issuers = new WeakMap<X509Certificate, Issuer>();

const issuerOf = (certificate: X509Certificate): Issuer => {
  const known = issuers.get(certificate);
  if (known !== undefined) return known;
  const tbs = (decode(certificate.raw).value as Asn1[])[0]!.value as Asn1[];
  const hasVersion = tbs[0]!.tagClass === asn1.Class.CONTEXT_SPECIFIC;
  const issuer = { name: tbs[hasVersion ? 5 : 4]!, keyId: subjectKeyIdOf(certificate) };
  issuers.set(certificate, issuer);
  return issuer;
};

const nameOf = (organization: string | undefined): Asn1 =>
  organization === undefined
    ? sequence()
    : sequence(
        set(sequence(identifier(oid.organization), universal(asn1.Type.UTF8, forge.util.encodeUtf8(organization)))),
      );

const keyIdOf = (publicKeyDer: Buffer): string =>
  forge.md.sha1.create().update(publicKeyDer.toString("binary")).digest().getBytes();

const extensionsOf = (request: CertificateRequest, publicKeyDer: Buffer, issuer: Issuer | undefined): Asn1[] => {
  const names = [
    ...(request.uri === undefined ? [] : [tagged(6, false, request.uri)]),
    ...(request.dnsNames ?? []).map((name) => tagged(2, false, name)),
  ];
  return [
    extension(oid.keyUsage, true, keyUsage(request.isAuthority)),
    extension(
      oid.basicConstraints,
      true,
      sequence(...(request.isAuthority ? [universal(asn1.Type.BOOLEAN, "\u00ff")] : [])),
    ),
    ...(request.isAuthority
      ? [extension(oid.subjectKeyIdentifier, false, universal(asn1.Type.OCTETSTRING, keyIdOf(publicKeyDer)))]
      : [
          extension(
            oid.extendedKeyUsage,
            false,
            sequence(identifier(oid.serverAuthentication), identifier(oid.clientAuthentication)),
          ),
        ]),
    ...(issuer?.keyId === undefined
      ? []
      : [extension(oid.authorityKeyIdentifier, false, sequence(tagged(0, false, issuer.keyId)))]),
    ...(names.length === 0
      ? []
      : [extension(oid.subjectAlternativeName, request.organization === undefined, sequence(...names))]),
  ];
};

const algorithmOf = (key: KeyObject): Asn1 => {
  if (key.asymmetricKeyType === "ec") return sequence(identifier(oid.ecdsaWithSha256));
  if (key.asymmetricKeyType === "rsa") return sequence(identifier(oid.sha256WithRsa), universal(asn1.Type.NULL, ""));
  throw new Error(`a ${key.asymmetricKeyType} key cannot sign certificates here; use an EC (P-256) or RSA key`);
};

/** Signs an X.509 v3 certificate (RFC 5280) with a random 127-bit serial number; PEM. */
export const signCertificate = async (request: CertificateRequest, signer: Signer): Promise<string> => {
  const publicKeyDer = request.publicKey.export({ type: "spki", format: "der" });
  const issuer = signer.certificate === undefined ? undefined : issuerOf(signer.certificate);
  const serial = randomBytes(16);
  // Positive and of full length, so that its DER is minimal.
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const algorithm = algorithmOf(signer.key);
  const subject = nameOf(request.organization);
  const certificate = sequence(
    tagged(0, true, [universal(asn1.Type.INTEGER, "\u0002")]),
    universal(asn1.Type.INTEGER, serial.toString("binary")),
    algorithm,
    issuer?.name ?? subject,
    sequence(time(request.notBefore), time(request.notAfter)),
    subject,
    decode(publicKeyDer),
    tagged(3, true, [sequence(...extensionsOf(request, publicKeyDer, issuer))]),
  );
  const signature = await signAsync("sha256", Buffer.from(encode(certificate), "binary"), {
    key: signer.key,
    dsaEncoding: "der",
  });
  const whole = sequence(
    certificate,
    algorithm,
    universal(asn1.Type.BITSTRING, `\u0000${signature.toString("binary")}`),
  );
  const base64 = Buffer.from(encode(whole), "binary").toString("base64");
  return `-----BEGIN CERTIFICATE-----\n${base64.replace(/(.{64})(?!$)/g, "$1\n")}\n-----END CERTIFICATE-----\n`;
};

/** The certificates of a PEM bundle, in order. Throws on one that is not a certificate. */
export const parseCertificates = (pem: string): readonly X509Certificate[] =>
  (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []).map(
    (block) => new X509Certificate(block),
  );
