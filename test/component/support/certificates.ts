import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signCertificate } from "../../../src/identity/x509.js";

/** An authority of a test, with files as a proxy's container would have them mounted. */
export interface TestAuthority {
  readonly folder: string;
  readonly certificatePem: string;
  readonly certificateFile: string;
  readonly issue: (
    name: string,
    dnsNames: readonly string[],
    uri?: string,
  ) => Promise<{
    readonly certificateFile: string;
    readonly keyFile: string;
    readonly certificate: string;
    readonly key: string;
  }>;
}

const day = 86_400_000;

const newKey = (): { readonly key: KeyObject; readonly pem: string } => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { key: privateKey, pem: privateKey.export({ type: "pkcs8", format: "pem" }) as string };
};

export const createTestAuthority = async (organization: string): Promise<TestAuthority> => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-certificates-"));
  const validity = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + day) };
  const { key } = newKey();
  const certificatePem = await signCertificate(
    { organization, publicKey: createPublicKey(key), ...validity, isAuthority: true },
    { key },
  );
  const certificateFile = join(folder, "ca.pem");
  writeFileSync(certificateFile, certificatePem);
  return {
    folder,
    certificatePem,
    certificateFile,
    issue: async (name, dnsNames, uri) => {
      const own = newKey();
      const certificate = await signCertificate(
        {
          // With the authority's own name it would count as signed by itself.
          ...(uri === undefined ? { organization: `${organization} ${name}` } : { uri }),
          dnsNames,
          publicKey: createPublicKey(own.key),
          ...validity,
          isAuthority: false,
        },
        { key, certificate: new X509Certificate(certificatePem) },
      );
      const files = { certificateFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}-key.pem`) };
      writeFileSync(files.certificateFile, certificate);
      writeFileSync(files.keyFile, own.pem);
      return { ...files, certificate, key: own.pem };
    },
  };
};
