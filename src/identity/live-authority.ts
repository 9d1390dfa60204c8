import {
  authorityOf,
  type CertificateAuthority,
  openAuthority,
  operatorSecret,
  readAuthority,
  type SecretData,
  type SecretStore,
  selfMadeSecret,
} from "./authority.js";
import {
  bundleOf,
  enforce,
  mergeTrust,
  nextExpiry,
  noTrust,
  pruneTrust,
  readTrust,
  type Trust,
  writeTrust,
} from "./trust.js";

/** Holds the roots that are or were in force, so that a restart during an overlap forgets none. */
export const trustSecret = "heddle-trust";
const trustKey = "trust.json";

/** The authority in force, whatever it is at the moment; `rootsPem` is the bundle of old and new roots. */
export interface LiveAuthority extends CertificateAuthority {
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
  /** How long a root stays in the bundle after its last certificate was signed: as long as any of them lives. */
  readonly overlapMilliseconds: number;
  /** How long the new bundle has to reach everyone before the new authority signs; also what a Secret may be absent. */
  readonly distributionMilliseconds: number;
  /** A Secret that cannot be used, while the last good authority stays in force; without an error it is good again. */
  readonly judged?: (secret: string, error: Error | undefined) => void;
  readonly failed?: (error: Error) => void;
}

const longestTimer = 2 ** 31 - 1;

const readTrustSecret = (data: SecretData | undefined): Trust => {
  const text = data?.[trustKey];
  if (text === undefined) return noTrust;
  try {
    return readTrust(text);
  } catch (error) {
    throw new Error(
      `Secret ${trustSecret}: ${trustKey}: ${(error as Error).message}; delete the Secret, it is made anew and then knows the roots of now only`,
    );
  }
};

/** Opens the mesh's authority as `openAuthority` does, and from then on follows its Secrets. Throws as that does. */
export const openLiveAuthority = async (options: LiveAuthorityOptions): Promise<LiveAuthority> => {
  const { store, overlapMilliseconds, distributionMilliseconds } = options;
  const failed = (error: Error): void => options.failed?.(error);
  const listeners = new Set<(change: "trust" | "signer") => void>();
  /** What was adopted last, and what signs: for a while after a rotation they differ. */
  let target = await openAuthority(store, options.trustDomain);
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
        return { [trustKey]: writeTrust(written) };
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

  const adopt = async (next: CertificateAuthority): Promise<void> => {
    const before = target;
    const isNewRoot = !before.rootsPem.includes(next.rootPem);
    const crossed = isNewRoot && before.notAfter.getTime() > Date.now() ? await before.certify(next) : undefined;
    if (isNewRoot && crossed === undefined)
      failed(
        new Error(
          "the earlier authority may not certify the new root (it has expired, or its pathLenConstraint forbids it): proxies that run now know the earlier root only, so restart them before heddled is restarted",
        ),
      );
    target = next;
    const cross = {
      of: next.fingerprint,
      by: before.fingerprint,
      pem: crossed ?? "",
      until: before.notAfter.getTime(),
    };
    setTrust(mergeTrust(trust, crossed === undefined ? noTrust : { roots: [], crossCertificates: [cross] }));
    await persist();
    clearTimeout(switching);
    const isTooLate = signer.notAfter.getTime() <= Date.now() + distributionMilliseconds;
    if (isTooLate) takeOver();
    else switching = setTimeout(takeOver, distributionMilliseconds);
    switching?.unref();
  };

  const offer = async (name: string, data: SecretData): Promise<void> => {
    let next: CertificateAuthority;
    try {
      next = authorityOf(readAuthority(data, name));
    } catch (error) {
      options.judged?.(name, error as Error);
      return;
    }
    options.judged?.(name, undefined);
    if (next.fingerprint !== target.fingerprint) await adopt(next);
  };

  /** The Secret in force is gone for good: what a start would find now is what counts. */
  const fallBack = async (name: string): Promise<void> => {
    try {
      const next = await openAuthority(store, options.trustDomain);
      if (next.fingerprint !== target.fingerprint) await adopt(next);
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
    get depth() {
      return signer.depth;
    },
    certify: (other) => signer.certify(other),
    sign: (...request) => signer.sign(...request),
    issue: (...request) => signer.issue(...request),
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
