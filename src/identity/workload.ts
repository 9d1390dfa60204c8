import { type CertificateAuthority, type IssuedCertificate, spiffeId } from "./authority.js";

/** What a proxy is sent over SDS. */
export interface WorkloadSecrets {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly rootsPem: string;
  readonly notAfter: Date;
  /** SHA-256 of the root that the certificate leads to. */
  readonly root: string;
}

export interface WorkloadSubscription {
  readonly current: WorkloadSecrets;
  readonly stop: () => void;
}

export interface WorkloadCertificates {
  /**
   * Issues a certificate with a key of its own for this proxy and keeps it fresh: `renewed` is called with each next
   * one. A renewal that fails is tried again every minute, and told to `failed`. The organizational units are asked
   * for at each issue.
   */
  readonly subscribe: (
    namespace: string,
    serviceAccount: string,
    renewed: (secrets: WorkloadSecrets) => void,
    organizationalUnits?: () => readonly string[],
  ) => Promise<WorkloadSubscription>;
  /** Passes on the trust bundle of now, with each proxy's certificate as it is. */
  readonly trustChanged: () => void;
  /** Issues every certificate anew, each at a random moment within the window. */
  readonly reissue: (windowMilliseconds: number) => void;
}

export interface WorkloadCertificateOptions {
  /** Asked at each issue, so that a new authority takes effect with the next certificate. */
  readonly authority: () => CertificateAuthority;
  readonly trustDomain: string;
  readonly lifetimeSeconds: number;
  readonly issued?: () => void;
  readonly failed: (error: Error, id: string) => void;
}

const retryMilliseconds = 60_000;

/** Between half and four fifths of the lifetime, at random, so that pods that started together do not renew together. */
const renewalDelay = (issued: IssuedCertificate): number =>
  Math.max((issued.notAfter.getTime() - Date.now()) * (0.5 + Math.random() * 0.3), 1000);

/** One proxy's certificate. */
interface Holder {
  readonly passOn: () => void;
  readonly renewWithin: (milliseconds: number) => void;
}

export const createWorkloadCertificates = (options: WorkloadCertificateOptions): WorkloadCertificates => {
  const holders = new Set<Holder>();
  /** Counts the calls of `reissue`, so that a certificate being made meanwhile is noticed to be an old one. */
  let generation = 0;
  let window = 0;

  const subscribe: WorkloadCertificates["subscribe"] = async (
    namespace,
    serviceAccount,
    renewed,
    organizationalUnits = () => [],
  ) => {
    const uri = spiffeId(options.trustDomain, namespace, serviceAccount);
    let timer: NodeJS.Timeout | undefined;
    let stopped = false;
    let issued: IssuedCertificate | undefined;
    const secretsOf = (certificate: IssuedCertificate): WorkloadSecrets => ({
      ...certificate,
      rootsPem: options.authority().rootsPem,
    });
    const issue = async (): Promise<IssuedCertificate> => {
      const begun = generation;
      const next = await options
        .authority()
        .issue({ uri, organizationalUnits: organizationalUnits() }, options.lifetimeSeconds);
      schedule(begun === generation ? renewalDelay(next) : Math.random() * window);
      issued = next;
      options.issued?.();
      return next;
    };
    const schedule = (milliseconds: number): void => {
      clearTimeout(timer);
      if (stopped) return;
      timer = setTimeout(renew, Math.min(milliseconds, 2 ** 31 - 1));
      timer.unref();
    };
    const renew = (): void => {
      issue().then(
        (next) => {
          if (!stopped) renewed(secretsOf(next));
        },
        (error: Error) => {
          options.failed(error, uri);
          schedule(retryMilliseconds);
        },
      );
    };
    const holder: Holder = {
      passOn: () => {
        if (issued !== undefined) renewed(secretsOf(issued));
      },
      renewWithin: (milliseconds) => schedule(Math.random() * milliseconds),
    };
    const first = await issue().catch((error: Error) => {
      options.failed(error, uri);
      throw error;
    });
    holders.add(holder);
    return {
      // What is true when it is read: a rotation can come between.
      get current() {
        return secretsOf(issued ?? first);
      },
      stop: () => {
        stopped = true;
        holders.delete(holder);
        clearTimeout(timer);
      },
    };
  };

  return {
    subscribe,
    trustChanged: () => {
      for (const { passOn } of holders) passOn();
    },
    reissue: (milliseconds) => {
      generation += 1;
      window = milliseconds;
      for (const { renewWithin } of holders) renewWithin(milliseconds);
    },
  };
};
