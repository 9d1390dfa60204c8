import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Certificate authorities as an operator makes them, by OpenSSL. */
export interface OperatorAuthority {
  readonly certificate: string;
  readonly key: string;
}

export interface AuthorityOptions {
  readonly by?: OperatorAuthority;
  /** Extensions in OpenSSL's words. */
  readonly basicConstraints?: string;
  readonly keyUsage?: string;
  readonly days?: number;
  /** Words that choose the key's sort. */
  readonly newKey?: readonly string[];
  /** In the container that OpenSSL's own commands gave keys before PKCS#8. */
  readonly isTraditional?: boolean;
}

export const makeAuthority = (name: string, options: AuthorityOptions = {}): OperatorAuthority => {
  const folder = mkdtempSync(join(tmpdir(), "heddle-test-"));
  const openssl = (...words: readonly string[]): void => {
    execFileSync("openssl", words, { cwd: folder, stdio: "pipe" });
  };
  const { by, basicConstraints = "critical,CA:TRUE", keyUsage = "critical,keyCertSign,cRLSign", days = 10 } = options;
  try {
    if (by !== undefined) {
      writeFileSync(join(folder, "by.pem"), by.certificate);
      writeFileSync(join(folder, "by.key"), by.key);
    }
    openssl(
      ...["req", "-x509", "-nodes", "-subj", `/O=heddle/CN=${name}`, "-days", String(days)],
      ...(options.newKey ?? ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
      ...["-keyout", "ca.key", "-out", "ca.pem"],
      ...(by === undefined ? [] : ["-CA", "by.pem", "-CAkey", "by.key"]),
      ...["-addext", `basicConstraints=${basicConstraints}`, "-addext", `keyUsage=${keyUsage}`],
    );
    if (options.isTraditional) openssl("pkey", "-in", "ca.key", "-out", "old.key", "-traditional");
    return {
      certificate: readFileSync(join(folder, "ca.pem"), "utf8"),
      key: readFileSync(join(folder, options.isTraditional ? "old.key" : "ca.key"), "utf8"),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
};
