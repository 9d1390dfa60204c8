import { isObject } from "../api/normalize.js";
import { readKeys } from "../api/security/jwks.js";
import { keyUrlFault } from "../api/security/key-url.js";
import type { RemoteKeySource } from "../api/security/request-authentication-schema.js";
import { type Answered, type Download, DownloadError, type DownloadOptions, download } from "./download.js";

export type FetchedKeys = Answered<{
  /** The usable public keys alone, as a JSON Web Key Set. */
  readonly jwks: string;
}>;

type Options = Omit<DownloadOptions, "etag">;

const bodyOf = (answer: Download): string => {
  if (answer.isUnchanged) throw new DownloadError("the host does not answer with status 200", "status 304");
  return answer.body;
};

const discover = async ({ url, issuer }: RemoteKeySource, options: Options): Promise<string> => {
  const body = bodyOf(await download(url, options));
  let configuration: unknown;
  try {
    configuration = JSON.parse(body);
  } catch {
    throw new DownloadError("the issuer's OpenID configuration is not JSON", "no JSON");
  }
  const { issuer: named, jwks_uri: keysAt } = isObject(configuration) ? configuration : {};
  // Section 4.3 of OpenID Connect Discovery: whoever answers for another issuer must not be believed.
  if (named !== issuer)
    throw new DownloadError(
      "the OpenID configuration there is that of another issuer; write the issuer as it says",
      "issuer",
    );
  const fault = typeof keysAt === "string" ? keyUrlFault(keysAt) : "none";
  if (typeof keysAt !== "string" || (fault !== undefined && options.isForbidden === undefined))
    throw new DownloadError("the issuer's OpenID configuration names no usable jwks_uri; give jwksUri", "jwks_uri");
  if (url.startsWith("https:") && !keysAt.startsWith("https:"))
    throw new DownloadError(
      "the issuer's OpenID configuration names a jwks_uri without TLS; give jwksUri",
      "downgrade",
    );
  return keysAt;
};

/** Fetches and reads an issuer's keys. Throws a `DownloadError` whose message holds nothing of the answer. */
export const fetchKeys = async (
  source: RemoteKeySource,
  etag: string | undefined,
  options: Options,
): Promise<FetchedKeys> => {
  const url = source.from === "jwks" ? source.url : await discover(source, options);
  const answer = await download(url, { ...options, etag });
  if (answer.isUnchanged) return answer;
  const read = readKeys(answer.body);
  if (typeof read === "string") throw new DownloadError("the answer is no JSON Web Key Set; correct the address", read);
  if (read.jwks === undefined)
    throw new DownloadError(
      "the key set holds no public key that can be used: RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519",
      read.unusable.join("; "),
    );
  return { isUnchanged: false, jwks: read.jwks, etag: answer.etag, maxAgeSeconds: answer.maxAgeSeconds };
};
