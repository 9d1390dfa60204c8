import { type CertificateAuthority, type IssuedCertificate, spiffeId } from "./authority.js";

/** What a proxy is sent over SDS. */
export interface WorkloadSecrets {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly rootsPem: string;
  readonly notAfter: Date;
}

export interface WorkloadSubscription {
  readonly current: WorkloadSecrets;
  readonly stop: () => void;
}

export interface WorkloadCertificates {
  /**
   * Issues a certificate with a key of its own for this proxy and keeps it fresh: `renewed` is called with each next
   * one. A renewal that fails is tried again every minute, and told to `failed`.
   */
  readonly subscribe: (
    namespace: string,
    serviceAccount: string,
    renewed: (secrets: WorkloadSecrets) => void,
  ) => Promise<WorkloadSubscription>;
}

export interface WorkloadCertificateOptions {
  /** Asked at each issue, so that a new authority takes effect with the next certificate. */
  readonly authority: () => CertificateAuthority;
  readonly trustDomain: string;
  readonly lifetimeSeconds: number;
  readonly failed: (error: Error, id: string) => void;
}

const retryMilliseconds = 60_000;

/** Between half and four fifths of the lifetime, at random, so that pods that started together do not renew together. */
const renewalDelay = (issued: IssuedCertificate): number =>
  Math.max((issued.notAfter.getTime() - Date.now()) * (0.5 + Math.random() * 0.3), 1000);

export const createWorkloadCertificates = (options: WorkloadCertificateOptions): WorkloadCertificates => ({
  subscribe: async (namespace, serviceAccount, renewed) => {
    const uri = spiffeId(options.trustDomain, namespace, serviceAccount);
    let timer: NodeJS.Timeout | undefined;
    let stopped = false;
    const issue = async (): Promise<WorkloadSecrets> => {
      const authority = options.authority();
      const issued = await authority.issue({ uri }, options.lifetimeSeconds);
      if (!stopped) schedule(renewalDelay(issued));
      return { ...issued, rootsPem: authority.rootsPem };
    };
    const schedule = (milliseconds: number): void => {
      timer = setTimeout(renew, Math.min(milliseconds, 2 ** 31 - 1));
      timer.unref();
    };
    const renew = (): void => {
      issue().then(
        (secrets) => {
          if (!stopped) renewed(secrets);
        },
        (error: Error) => {
          options.failed(error, uri);
          if (!stopped) schedule(retryMilliseconds);
        },
      );
    };
    const current = await issue();
    return {
      current,
      stop: () => {
        stopped = true;
        clearTimeout(timer);
      },
    };
  },
});
