import { parseCertificates } from "./x509.js";

/** A root that proxies are told to trust; times are milliseconds since 1970. */
export interface TrustedRoot {
  readonly pem: string;
  /** When the last certificate under it has expired; absent while it is in force. */
  readonly until?: number;
}

/** Lets those who know only an earlier root verify certificates of a later one; to be sent with a server's chain. */
export interface CrossCertificate {
  /** Fingerprints of the authority that is certified and of the one that certifies it. */
  readonly of: string;
  readonly by: string;
  readonly pem: string;
  readonly until: number;
}

/** What is trusted besides the authority in force, kept in a Secret so that a restart in the overlap forgets nothing. */
export interface Trust {
  readonly roots: readonly TrustedRoot[];
  readonly crossCertificates: readonly CrossCertificate[];
}

export const noTrust: Trust = { roots: [], crossCertificates: [] };

/** More than a few rotations at once are a mistake, and chains must stay short. */
const mostCrossCertificates = 4;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

const listOf = (value: unknown, field: string): readonly Readonly<Record<string, unknown>>[] => {
  const list = isObject(value) ? value[field] : undefined;
  if (!Array.isArray(list) || !list.every(isObject)) throw new Error(`${field} is not a list of objects`);
  return list;
};

const isTime = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

/** One root's PEM in Node's own form, so that equal roots are equal texts. */
const normal = (pem: unknown): string => {
  const [certificate, ...more] = parseCertificates(String(pem));
  if (certificate === undefined || more.length > 0) throw new Error("pem is not one certificate");
  return certificate.toString();
};

/** Reads what `writeTrust` wrote. Throws an Error that says what is wrong, without where. */
export const readTrust = (text: string): Trust => {
  const value: unknown = JSON.parse(text);
  return {
    roots: listOf(value, "roots").map(({ pem, until }) => ({ pem: normal(pem), ...(isTime(until) ? { until } : {}) })),
    crossCertificates: listOf(value, "crossCertificates").map(({ of, by, pem, until }) => {
      if (!isTime(until)) throw new Error("until of a cross certificate is not a number");
      return { of: String(of), by: String(by), pem: parseCertificates(String(pem)).join(""), until };
    }),
  };
};

export const writeTrust = (trust: Trust): string => JSON.stringify(trust);

const byText = ({ pem: left }: { readonly pem: string }, { pem: right }: { readonly pem: string }): number =>
  left < right ? -1 : 1;

/** Without what is over. */
export const pruneTrust = (trust: Trust, now: number): Trust => ({
  roots: trust.roots.filter(({ until }) => until === undefined || until > now),
  crossCertificates: trust.crossCertificates.filter(({ until }) => until > now),
});

/** When something will be over; undefined if nothing will. */
export const nextExpiry = (trust: Trust): number | undefined => {
  const times = [...trust.roots, ...trust.crossCertificates].flatMap(({ until }) =>
    until === undefined ? [] : [until],
  );
  return times.length === 0 ? undefined : Math.min(...times);
};

/** Puts these roots in force, and all others out of force: they stay until `until` or as long as they would have. */
export const enforce = (trust: Trust, rootsPem: string, until: number): Trust => {
  const own = new Set(parseCertificates(rootsPem).map(String));
  const others = trust.roots
    .filter(({ pem }) => !own.has(pem))
    .map((root) => ({ pem: root.pem, until: root.until ?? until }));
  return { ...trust, roots: [...[...own].map((pem) => ({ pem })), ...others].sort(byText) };
};

/** What either of the two trusts: a root that one has put out of force is so, for the longer time. */
export const mergeTrust = (left: Trust, right: Trust): Trust => {
  const roots = new Map<string, TrustedRoot>();
  for (const root of [...left.roots, ...right.roots]) {
    const known = roots.get(root.pem);
    const times = [known?.until, root.until].filter(isTime);
    roots.set(root.pem, times.length === 0 ? root : { pem: root.pem, until: Math.max(...times) });
  }
  const crossed = new Map(
    // Each replica makes its own of the same meaning; one of them is enough, the same for all.
    [...left.crossCertificates, ...right.crossCertificates]
      .sort(byText)
      .map((cross) => [`${cross.of} ${cross.by}`, cross]),
  );
  return {
    roots: [...roots.values()].sort(byText),
    crossCertificates: [...crossed.values()]
      .sort((a, b) => b.until - a.until || byText(a, b))
      .slice(0, mostCrossCertificates),
  };
};

/** All roots, in an order that does not depend on which are in force: replicas that agree on them write the same. */
export const bundleOf = (trust: Trust): string => trust.roots.map(({ pem }) => pem).join("");
