import { type ApiClient, ApiError } from "../watch/api-client.js";

export interface LeaseOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  /** Who asks; of all that ask one at a time holds the lease. */
  readonly identity: string;
  readonly changed: (isHolder: boolean) => void;
  readonly failed: (error: Error) => void;
  /** Others may take a lease that has not been renewed for this long. */
  readonly durationMilliseconds?: number;
  /** Between renewals, and between looks at another's lease. */
  readonly retryMilliseconds?: number;
}

export interface HeldLease {
  /** False as soon as the lease may be another's, whether the API server can be asked or not. */
  readonly isHolder: () => boolean;
  /** Gives the lease back, so that another need not wait for its end. */
  readonly stop: () => Promise<void>;
}

/** coordination.k8s.io/v1, as far as it is used. */
interface Lease {
  readonly metadata: { readonly resourceVersion?: string };
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** MicroTime, which has six digits. */
const microTime = (): string => new Date().toISOString().replace(/Z$/, "000Z");

/** Another has been quicker: its version is looked at next time. */
const isRace = (error: unknown): boolean => error instanceof ApiError && error.status === 409;

/** Takes part in the election of one holder of a Lease; never compares clocks of two machines. */
export const contendForLease = (options: LeaseOptions): HeldLease => {
  const { client, identity, durationMilliseconds = 15_000, retryMilliseconds = 2000 } = options;
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${options.namespace}/leases`;
  const path = `${collection}/${options.name}`;
  /** A holder gives up this long after its last renewal, well before others may take over. */
  const deadlineMilliseconds = (durationMilliseconds * 2) / 3;
  let renewedAt: number | undefined;
  let wasHolder = false;
  let seen: { readonly text: string; readonly at: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  const isHolder = (): boolean =>
    !isStopped && renewedAt !== undefined && performance.now() - renewedAt < deadlineMilliseconds;

  const tell = (): void => {
    if (isHolder() === wasHolder) return;
    wasHolder = !wasHolder;
    options.changed(wasHolder);
  };

  const bodyOf = (before: Lease | undefined, holderIdentity: string): object => {
    const isRenewal = before?.spec?.holderIdentity === holderIdentity;
    const now = microTime();
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: options.name, namespace: options.namespace, ...before?.metadata },
      spec: {
        holderIdentity,
        leaseDurationSeconds: Math.max(1, Math.ceil(durationMilliseconds / 1000)),
        acquireTime: isRenewal ? before?.spec?.acquireTime : now,
        renewTime: now,
        leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (isRenewal || before === undefined ? 0 : 1),
      },
    };
  };

  const read = async (): Promise<Lease | undefined> => {
    try {
      return (await client.call(path)) as Lease;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  };

  /** By this machine's own clock: whether the lease has stood unchanged for as long as its holder has promised to renew it. */
  const isExpired = (lease: Lease): boolean => {
    const text = JSON.stringify(lease.spec);
    if (seen?.text !== text) seen = { text, at: performance.now() };
    return performance.now() - seen.at > (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
  };

  const attempt = async (): Promise<void> => {
    // From before the request: when others count from, is later.
    const startedAt = performance.now();
    const lease = await read();
    const holder = lease?.spec?.holderIdentity ?? "";
    if (lease !== undefined && holder !== "" && holder !== identity && !isExpired(lease)) {
      renewedAt = undefined;
      return;
    }
    if (isStopped) return;
    if (lease === undefined) await client.call(collection, { method: "POST", body: bodyOf(undefined, identity) });
    else await client.call(path, { method: "PUT", body: bodyOf(lease, identity) });
    renewedAt = startedAt;
  };

  let running: Promise<void> = Promise.resolve();
  const turn = (): void => {
    running = attempt()
      .catch((error: Error) => {
        if (!isRace(error)) options.failed(new Error(`cannot renew Lease ${options.name}: ${error.message}`));
      })
      .then(() => {
        tell();
        if (!isStopped) timer = setTimeout(turn, retryMilliseconds * (0.8 + 0.4 * Math.random())).unref();
      });
  };
  turn();
  // A request that hangs must not keep the loss from being told.
  const watchdog = setInterval(tell, Math.min(retryMilliseconds, 1000)).unref();

  return {
    isHolder,
    stop: async () => {
      const held = isHolder();
      isStopped = true;
      clearTimeout(timer);
      clearInterval(watchdog);
      tell();
      await running;
      if (!held) return;
      const lease = await read().catch(() => undefined);
      if (lease?.spec?.holderIdentity !== identity) return;
      // Others wait for the end of a lease that cannot be given back.
      await client.call(path, { method: "PUT", body: bodyOf(lease, "") }).catch(() => {});
    },
  };
};
