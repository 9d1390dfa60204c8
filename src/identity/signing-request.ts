import { createPublicKey, type KeyObject, verify } from "node:crypto";
import * as der from "./der.js";

/** A certificate signing request that cannot be signed; the message names the cause and the cure, for the client. */
export class SigningRequestFault extends Error {
  override readonly name = "SigningRequestFault";
}

export interface SigningRequest {
  readonly publicKey: KeyObject;
  /** Subject alternative names that are URIs. */
  readonly uris: readonly string[];
  /** Whether it asks for names of other sorts: DNS names, addresses, mail. */
  readonly hasOtherNames: boolean;
}

export const largestSigningRequest = 16_384;
const rsaBits = { least: 2048, most: 8192 } as const;

const extensionRequest = der.objectIdentifier("1.2.840.113549.1.9.14");
const subjectAlternativeName = der.objectIdentifier("2.5.29.17");
const uriTag = der.context(6, false);

const digests: readonly (readonly [oid: Buffer, keyType: string, digest: string])[] = [
  [der.objectIdentifier("1.2.840.10045.4.3.2"), "ec", "sha256"],
  [der.objectIdentifier("1.2.840.10045.4.3.3"), "ec", "sha384"],
  [der.objectIdentifier("1.2.840.10045.4.3.4"), "ec", "sha512"],
  [der.objectIdentifier("1.2.840.113549.1.1.11"), "rsa", "sha256"],
  [der.objectIdentifier("1.2.840.113549.1.1.12"), "rsa", "sha384"],
  [der.objectIdentifier("1.2.840.113549.1.1.13"), "rsa", "sha512"],
];

const refuse = (message: string): never => {
  throw new SigningRequestFault(message);
};

const curves: Readonly<Record<string, string>> = { prime256v1: "P-256", secp384r1: "P-384" };

const readKey = (spki: Buffer): KeyObject => {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: spki, format: "der", type: "spki" });
  } catch {
    return refuse("the CSR's public key cannot be read; send an EC key on P-256 or P-384, or an RSA key of 2048 bits");
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "ec") {
    if (Object.hasOwn(curves, details?.namedCurve ?? "")) return key;
    return refuse(`the CSR's key is on the curve ${details?.namedCurve}; use P-256 or P-384`);
  }
  if (type !== "rsa") return refuse(`the CSR's key is of type ${type}; use EC on P-256 or P-384, or RSA of 2048 bits`);
  const bits = details?.modulusLength ?? 0;
  if (bits < rsaBits.least || bits > rsaBits.most)
    return refuse(`the CSR's RSA key has ${bits} bits; use ${rsaBits.least} to ${rsaBits.most}`);
  return key;
};

/** GeneralNames of the extensionRequest attribute (RFC 2985 5.4.2). */
const alternativeNames = (attributes: readonly der.Element[]): readonly der.Element[] =>
  attributes.flatMap(({ content }) => {
    const [id, values] = der.readAll(content);
    if (id === undefined || values === undefined || !id.whole.equals(extensionRequest)) return [];
    const extensions = der.readAll(der.readExactly(values.content, der.tag.sequence).content);
    return extensions.flatMap((extension) => {
      const parts = der.readAll(extension.content);
      const value = parts.at(-1);
      if (parts[0] === undefined || value === undefined || !parts[0].whole.equals(subjectAlternativeName)) return [];
      return der.readAll(der.readExactly(value.content, der.tag.sequence).content);
    });
  });

const decodePem = (pem: string): Buffer => {
  if (pem.length > largestSigningRequest)
    return refuse(`the CSR has ${pem.length} characters; ${largestSigningRequest} at most`);
  const blocks =
    /^\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/;
  const [, base64] =
    blocks.exec(pem) ?? refuse("the CSR is not one PEM block CERTIFICATE REQUEST; send PKCS#10 in PEM");
  return Buffer.from(base64 ?? "", "base64");
};

/** The parts of a CertificationRequest (RFC 2986): what is signed, by which algorithm, the signature. */
const takeApart = (bytes: Buffer) => {
  try {
    const [information, algorithm, signature] = der.readAll(der.readExactly(bytes, der.tag.sequence).content);
    const [version, subject, key, attributes] = der.readAll(information!.content);
    const [identifier] = der.readAll(algorithm!.content);
    if (version?.tag !== der.tag.integer || subject?.tag !== der.tag.sequence) throw new Error("fields are missing");
    // The first octet of a BIT STRING counts unused bits; a signature has none.
    if (signature?.tag !== der.tag.bitString || signature.content[0] !== 0) throw new Error("no signature");
    const names = attributes?.tag === der.context(0, true) ? alternativeNames(der.readAll(attributes.content)) : [];
    return {
      signed: information!.whole,
      algorithm: identifier!.whole,
      signature: signature.content.subarray(1),
      key: key!.whole,
      names,
    };
  } catch {
    return refuse("the CSR's DER is malformed; send PKCS#10 as in RFC 2986");
  }
};

/**
 * Reads a PKCS#10 request in PEM and verifies that its sender holds the key. Throws SigningRequestFault for one that is
 * malformed, too large, not signed by its own key, or whose key is weak or of another sort.
 */
export const readSigningRequest = (pem: string): SigningRequest => {
  const parts = takeApart(decodePem(pem));
  const publicKey = readKey(parts.key);
  const [, keyType, digest] =
    digests.find(([oid]) => oid.equals(parts.algorithm)) ??
    refuse("the CSR's signature algorithm is not supported; sign it with ECDSA or RSA (PKCS #1) and SHA-256");
  if (keyType !== publicKey.asymmetricKeyType || !verify(digest, parts.signed, publicKey, parts.signature))
    return refuse("the CSR's signature does not fit its public key; sign it with the private key of the same pair");
  return {
    publicKey,
    uris: parts.names.filter(({ tag }) => tag === uriTag).map(({ content }) => content.toString("latin1")),
    hasOtherNames: parts.names.some(({ tag }) => tag !== uriTag),
  };
};
