import { type LookupAddress, lookup } from "node:dns";
import { get as getPlain, type IncomingMessage } from "node:http";
import { get as getSecure } from "node:https";
import type { LookupFunction } from "node:net";
import { getCACertificates } from "node:tls";
import { isForbiddenAddress, keyUrlFault } from "../api/security/key-url.js";

export interface DownloadOptions {
  readonly timeoutMilliseconds: number;
  /** Of the version that is known; the server may say that it is still the latest. */
  readonly etag?: string | undefined;
  /** PEM of authorities that are believed besides the system's. */
  readonly authoritiesPem?: string | undefined;
  /** Of the host's addresses; for tests. */
  readonly isForbidden?: (address: string) => boolean;
  readonly signal?: AbortSignal;
}

/** What a host answers; unchanged is what was fetched under the tag that it was told. */
export type Answered<Content> = { readonly maxAgeSeconds: number | undefined } & (
  | { readonly isUnchanged: true }
  | ({ readonly isUnchanged: false; readonly etag: string | undefined } & Content)
);

export type Download = Answered<{ readonly body: string }>;

/** What has failed, in words for whoever wrote the URL: nothing in them is of an answer. `detail` is the operator's. */
export class DownloadError extends Error {
  readonly detail: string;
  constructor(message: string, detail: string) {
    super(message);
    this.detail = detail;
  }
}

const longestBody = 1024 * 1024;
const forbiddenCode = "EFORBIDDEN";

/** Looks at what a name stands for at the moment of connecting, since it may stand for something else the next time. */
const guardedLookup =
  (isForbidden: (address: string) => boolean): LookupFunction =>
  (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses: readonly LookupAddress[]) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) callback(error, "", 4);
      else if (addresses.some(({ address }) => isForbidden(address)))
        callback(Object.assign(new Error("a forbidden address"), { code: forbiddenCode }), "", 4);
      else if (options.all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    });
  };

const unresolved: ReadonlySet<string> = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA"]);

const wordsOf = ({ code = "" }: NodeJS.ErrnoException): string => {
  if (code === forbiddenCode)
    return "the host stands for an address that is local to a machine or its network, from which no keys are fetched";
  if (unresolved.has(code)) return "the host's name cannot be resolved; correct it";
  if (/CERT|SIGNATURE|ISSUER|_CA_|CRL|ALTNAME/.test(code))
    return "the host's certificate is not trusted; have one of a known authority, or give heddled the authority";
  return "no answer could be had from the host";
};

/** RFC 9111: how long the answer is fresh. */
const maxAgeOf = ({ headers }: IncomingMessage): number | undefined => {
  const control = headers["cache-control"] ?? "";
  if (/\bno-(store|cache)\b/i.test(control)) return 0;
  const [, seconds] = /(?:^|[\s,])max-age\s*=\s*"?(\d{1,9})/i.exec(control) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
};

const read = (response: IncomingMessage): Promise<string> =>
  new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let length = 0;
    response.on("data", (part: Buffer) => {
      length += part.length;
      if (length <= longestBody) parts.push(part);
      else response.destroy(new DownloadError("the answer is longer than a mebibyte", "too long"));
    });
    response.on("end", () => resolve(Buffer.concat(parts).toString("utf8")));
    response.on("error", reject);
    response.on("close", () => reject(new DownloadError("the answer was cut off", "closed early")));
  });

/**
 * One GET without credentials. Follows no redirects: they would lead where nobody has looked at the address. Throws a
 * `DownloadError`.
 */
export const download = async (url: string, options: DownloadOptions): Promise<Download> => {
  const { timeoutMilliseconds, etag, authoritiesPem, isForbidden = isForbiddenAddress } = options;
  const fault = options.isForbidden === undefined ? keyUrlFault(url) : undefined;
  if (fault !== undefined) throw new DownloadError(fault, fault);
  const timeout = AbortSignal.timeout(timeoutMilliseconds);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
  const common = {
    agent: false,
    signal,
    lookup: guardedLookup(isForbidden),
    headers: { accept: "application/json", ...(etag === undefined ? {} : { "if-none-match": etag }) },
  } as const;
  const isSecure = url.startsWith("https:");
  const ca = authoritiesPem === undefined ? {} : { ca: [...getCACertificates("default"), authoritiesPem] };
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = isSecure ? getSecure(url, { ...common, ...ca }, resolve) : getPlain(url, common, resolve);
      request.on("error", reject);
    });
    const { statusCode = 0 } = response;
    const maxAgeSeconds = maxAgeOf(response);
    if (statusCode === 200) {
      const tag = response.headers.etag;
      return { isUnchanged: false, body: await read(response), etag: tag, maxAgeSeconds };
    }
    response.destroy();
    if (statusCode === 304 && etag !== undefined) return { isUnchanged: true, maxAgeSeconds };
    throw new DownloadError(
      statusCode >= 300 && statusCode < 400
        ? "the host sends on to another address, which is not followed; give the address that answers"
        : "the host does not answer with status 200",
      `status ${statusCode}`,
    );
  } catch (error) {
    if (error instanceof DownloadError) throw error;
    if (timeout.aborted)
      throw new DownloadError(`the whole answer was not there after ${timeoutMilliseconds / 1000}s`, "time-out");
    const { code, message } = error as NodeJS.ErrnoException;
    throw new DownloadError(wordsOf(error as NodeJS.ErrnoException), code ?? message);
  }
};
