import { authorityOf, type CertificateAuthority, openAuthority, type SecretStore } from "./authority.js";
import { operatorSecret, readAuthority, type SecretData, selfMadeSecret } from "./authority-secret.js";
import { nextAuthorityOf } from "./root-rotation.js";
import {
  bundleOf,
  enforce,
  mergeTrust,
  nextExpiry,
  noTrust,
  pruneTrust,
  type Trust,
  type TrustedRoot,
  writeTrust,
} from "./trust.js";
import { readTrustSecret, trustSecret, trustSecretOf } from "./trust-secret.js";

/** The authority in force, whatever it is at the moment; `rootsPem` is the bundle of old and new roots. */
export interface LiveAuthority extends CertificateAuthority {
  /** What is trusted, and until when. */
  readonly trustedRoots: () => readonly TrustedRoot[];
  /** For the chains of servers whose clients may know only an earlier root; "" without a rotation. */
  readonly crossCertificatesPem: () => string;
  /** To be told of each change of the Secrets `cacerts`, `istio-ca-secret` and `heddle-trust`; absent data: it is gone. */
  readonly secretChanged: (name: string, data: SecretData | undefined) => void;
  /** "trust" when the bundle has changed, "signer" when certificates from now on come from another authority. */
  readonly onChange: (listener: (change: "trust" | "signer") => void) => () => void;
  readonly stop: () => Promise<void>;
}

export interface LiveAuthorityOptions {
  readonly store: SecretStore;
  readonly trustDomain: string;
  /** Of a root that has to be made; ten years if left out. */
  readonly rootLifetimeMilliseconds?: number;
  /** How long a root stays in the bundle after its last certificate was signed: as long as any of them lives. */
  readonly overlapMilliseconds: number;
  /** How long the new bundle has to reach everyone before the new authority signs; also what a Secret may be absent. */
  readonly distributionMilliseconds: number;
  /** A Secret that cannot be used, while the last good authority stays in force; without an error it is good again. */
  readonly judged?: (secret: string, error: Error | undefined) => void;
  readonly failed?: (error: Error) => void;
}

const longestTimer = 2 ** 31 - 1;

/** Opens the mesh's authority as `openAuthority` does, and from then on follows its Secrets. Throws as that does. */
export const openLiveAuthority = async (options: LiveAuthorityOptions): Promise<LiveAuthority> => {
  const { store, overlapMilliseconds, distributionMilliseconds } = options;
  const failed = (error: Error): void => options.failed?.(error);
  const listeners = new Set<(change: "trust" | "signer") => void>();
  /** What was adopted last, and what signs: for a while after a rotation they differ. */
  const open = (): Promise<CertificateAuthority> =>
    openAuthority(store, options.trustDomain, options.rootLifetimeMilliseconds);
  let target = await open();
  let signer = target;
  let trust = noTrust;
  let switching: NodeJS.Timeout | undefined;
  let pruning: NodeJS.Timeout | undefined;
  let persisting: NodeJS.Timeout | undefined;
  let isPersisted = true;
  const removals = new Map<string, NodeJS.Timeout>();
  let stopped = false;

  const tell = (change: "trust" | "signer"): void => {
    for (const listener of listeners) listener(change);
  };

  const hold = (next: Trust): void => {
    const before = bundleOf(trust);
    trust = next;
    clearTimeout(pruning);
    const expiry = nextExpiry(trust);
    if (expiry !== undefined && !stopped) {
      pruning = setTimeout(() => setTrust(trust), Math.min(Math.max(expiry - Date.now(), 0) + 1000, longestTimer));
      pruning.unref();
    }
    if (bundleOf(trust) !== before) tell("trust");
  };

  const enforced = (next: Trust, lifetimeMilliseconds: number): Trust =>
    enforce(pruneTrust(next, Date.now()), target.rootsPem, Date.now() + lifetimeMilliseconds);

  const setTrust = (next: Trust): void => hold(enforced(next, distributionMilliseconds + overlapMilliseconds));

  /** Adds what is known here to what replicas have written, and is tried again until it succeeds. */
  const persist = async (): Promise<void> => {
    try {
      let written = trust;
      await store.update(trustSecret, (data) => {
        written = enforced(mergeTrust(readOrForget(data), trust), overlapMilliseconds);
        return trustSecretOf(written);
      });
      isPersisted = true;
      hold(written);
    } catch (error) {
      isPersisted = false;
      failed(error as Error);
      clearTimeout(persisting);
      persisting = setTimeout(() => enqueue(persist), distributionMilliseconds);
      persisting.unref();
    }
  };

  const readOrForget = (data: SecretData | undefined): Trust => {
    try {
      return readTrustSecret(data);
    } catch (error) {
      failed(error as Error);
      return noTrust;
    }
  };

  /** What the Secret says counts, so that a root that someone takes out of it is trusted no more. */
  const followTrust = async (): Promise<void> => {
    const data = isPersisted ? await store.read(trustSecret) : undefined;
    if (data === undefined) await persist();
    else setTrust(readTrustSecret(data));
  };

  const takeOver = (): void => {
    if (stopped || signer === target) return;
    signer = target;
    tell("signer");
  };

  /** What lets those who know only the root of `by` verify what `of` signs; nothing where that is not to be had. */
  const crossOf = async (of: CertificateAuthority, by: CertificateAuthority): Promise<Trust> => {
    if (of.rootPem === by.rootPem) return noTrust;
    const pem = by.notAfter.getTime() > Date.now() ? await by.certify(of) : undefined;
    if (pem === undefined) {
      failed(
        new Error(
          "the earlier authority may not certify the new root (it has expired, or its pathLenConstraint forbids it): proxies that run now know the earlier root only, so restart them before heddled is restarted",
        ),
      );
      return noTrust;
    }
    return {
      roots: [],
      crossCertificates: [{ of: of.fingerprint, by: by.fingerprint, pem, until: by.notAfter.getTime() }],
    };
  };

  /** The same in another Secret is another too: it says who rotates it. */
  const isAnother = (next: CertificateAuthority): boolean =>
    next.fingerprint !== target.fingerprint || next.origin !== target.origin;

  const adopt = async (next: CertificateAuthority): Promise<void> => {
    const before = target;
    const cross = await crossOf(next, before);
    target = next;
    setTrust(mergeTrust(trust, cross));
    await persist();
    if (signer === before && next.issuer === before.issuer) {
      // The same key signs: only what is trusted has changed.
      signer = next;
      return;
    }
    clearTimeout(switching);
    const isTooLate = signer.notAfter.getTime() <= Date.now() + distributionMilliseconds;
    if (isTooLate) takeOver();
    else switching = setTimeout(takeOver, distributionMilliseconds);
    switching?.unref();
  };

  /**
   * A root that is to sign next is certified by the present one at once: who starts after the change has the present one's
   * key no more.
   */
  const prepare = async (data: SecretData): Promise<void> => {
    const next = nextAuthorityOf(data);
    if (next === undefined) return;
    if (trust.crossCertificates.some(({ of, by }) => of === next.fingerprint && by === target.fingerprint)) return;
    setTrust(mergeTrust(trust, await crossOf(next, target)));
    await persist();
  };

  const offer = async (name: string, data: SecretData): Promise<void> => {
    let next: CertificateAuthority;
    try {
      next = authorityOf(readAuthority(data, name));
      if (name === selfMadeSecret) nextAuthorityOf(data);
    } catch (error) {
      options.judged?.(name, error as Error);
      return;
    }
    options.judged?.(name, undefined);
    if (isAnother(next)) await adopt(next);
    if (name === selfMadeSecret) await prepare(data);
  };

  /** The Secret in force is gone for good: what a start would find now is what counts. */
  const fallBack = async (name: string): Promise<void> => {
    try {
      const next = await open();
      if (isAnother(next)) await adopt(next);
    } catch (error) {
      failed(error as Error);
      awaitReturn(name);
    }
  };

  /** Tools that replace a Secret delete it first; that is no removal. */
  const awaitReturn = (name: string): void => {
    clearTimeout(removals.get(name));
    const timer = setTimeout(() => enqueue(() => fallBack(name)), distributionMilliseconds);
    timer.unref();
    removals.set(name, timer);
  };

  let work: Promise<void> = Promise.resolve();
  const enqueue = (step: () => Promise<void>): void => {
    work = work.then(() => (stopped ? undefined : step())).catch(failed);
  };

  /** What counts depends on the authority in force, and so on all changes before this one. */
  const follow = async (name: string, data: SecretData | undefined): Promise<void> => {
    clearTimeout(removals.get(name));
    removals.delete(name);
    if (name === trustSecret) return followTrust();
    if (name === selfMadeSecret && target.origin === "operator") return;
    if (data !== undefined) return offer(name, data);
    options.judged?.(name, undefined);
    if (name === operatorSecret && target.origin === "self-made") return;
    awaitReturn(name);
  };

  const secretChanged: LiveAuthority["secretChanged"] = (name, data) => enqueue(() => follow(name, data));

  const kept = readOrForget(await store.read(trustSecret));
  setTrust(kept);
  if (writeTrust(trust) !== writeTrust(kept)) await persist();

  return {
    get rootsPem() {
      return bundleOf(trust);
    },
    get rootPem() {
      return signer.rootPem;
    },
    get origin() {
      return signer.origin;
    },
    get notAfter() {
      return signer.notAfter;
    },
    get fingerprint() {
      return signer.fingerprint;
    },
    get issuer() {
      return signer.issuer;
    },
    get depth() {
      return signer.depth;
    },
    certify: (other) => signer.certify(other),
    sign: (...request) => signer.sign(...request),
    issue: (...request) => signer.issue(...request),
    trustedRoots: () => trust.roots,
    crossCertificatesPem: () => trust.crossCertificates.map(({ pem }) => pem).join(""),
    secretChanged,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: async () => {
      stopped = true;
      for (const timer of [switching, pruning, persisting, ...removals.values()]) clearTimeout(timer);
      await work;
    },
  };
};
