import { fingerprintOf, type SecretStore } from "../../identity/authority.js";
import { type SecretData, selfMadeSecret } from "../../identity/authority-secret.js";
import type { LiveAuthority } from "../../identity/live-authority.js";
import { beginRotation, completeRotation, nextRootOf, readRotation } from "../../identity/root-rotation.js";
import { parseCertificates } from "../../identity/x509.js";
import {
  type AuthorityStatus,
  distributionLacks,
  holdersOfOthers,
  type Phase,
  type ReplicaReport,
  rootStatuses,
} from "./state.js";

export interface RootRotationSettings {
  readonly rootLifetimeMilliseconds: number;
  /** A self-made root is rotated when no more than this is left of its life. */
  readonly rotateBeforeMilliseconds: number;
  /** For this long everyone must have been seen to trust the next root before it signs. */
  readonly settleMilliseconds: number;
}

export interface RotationDriverOptions extends RootRotationSettings {
  readonly authority: LiveAuthority;
  readonly store: SecretStore;
  readonly trustDomain: string;
  /** Of several replicas only one drives at a time. */
  readonly mayDrive: () => boolean;
  /** `istio-ca-secret` as it is. */
  readonly secret: () => SecretData | undefined;
  /** The replicas that serve proxies, whether they have reported or not. */
  readonly replicas: () => readonly string[];
  readonly reports: () => ReadonlyMap<string, ReplicaReport>;
  /** The rotation that someone has asked for last, by a name of its own; an earlier one is of no account. */
  readonly request: () => string | undefined;
  readonly publish: (status: AuthorityStatus) => void;
  readonly told: (message: string, details: Readonly<Record<string, unknown>>) => void;
  readonly failed: (error: Error) => void;
  readonly tickMilliseconds?: number;
}

const operatorReason =
  "the certificate authority is the operator's (Secret cacerts), and heddled does not rotate it: replace what that Secret holds, as docs/certificates.md says; heddled follows without a restart";

/**
 * Drives the rotation of the self-made root from phase to phase. All that it needs to go on is in the cluster, so that any
 * replica can take over in any phase.
 */
export const createRotationDriver = (options: RotationDriverOptions): { readonly stop: () => Promise<void> } => {
  const { authority, store } = options;
  /** Since when nothing lacks, by this machine's own clock. */
  let completeSince: number | undefined;
  let refused: AuthorityStatus["refused"];
  let stopped = false;

  const isUnanswered = (request: string | undefined, data: SecretData | undefined): request is string =>
    request !== undefined &&
    request !== refused?.request &&
    (data === undefined || readRotation(data)?.request !== request);

  const begin = async (request: string, reason: "requested" | "expiry"): Promise<void> => {
    const { trustDomain, rootLifetimeMilliseconds } = options;
    await store.update(
      selfMadeSecret,
      await beginRotation({ request, reason, trustDomain, rootLifetimeMilliseconds }),
    );
    options.told("a new root is made, and signs once everyone trusts it", { reason });
  };

  /** What is lacking before the next root may sign; when nothing has for long enough, it does. */
  const distribute = async (nextRoot: string): Promise<readonly string[]> => {
    const lacks = distributionLacks(nextRoot, options.replicas(), options.reports());
    if (lacks.length > 0) {
      completeSince = undefined;
      return lacks;
    }
    completeSince ??= performance.now();
    if (performance.now() - completeSince < options.settleMilliseconds)
      return ["everyone trusts the new root; connections that are being made are given time"];
    completeSince = undefined;
    await store.update(selfMadeSecret, completeRotation(nextRoot));
    options.told("everyone trusts the new root: it signs, and every certificate is issued anew", { root: nextRoot });
    return [];
  };

  const automaticRotationAt = (): number => {
    const [root] = parseCertificates(authority.rootPem);
    return (root?.validToDate.getTime() ?? Number.POSITIVE_INFINITY) - options.rotateBeforeMilliseconds;
  };

  const statusOf = (data: SecretData | undefined, lacks: readonly string[]): AuthorityStatus => {
    const isOwn = authority.origin === "self-made";
    const roots = rootStatuses(authority);
    const signing = fingerprintOf(authority.rootPem);
    const rotation = isOwn && data !== undefined ? readRotation(data) : undefined;
    const others = holdersOfOthers(signing, options.reports().values());
    const isDistributing = isOwn && data !== undefined && nextRootOf(data) !== undefined;
    const isRetiring = roots.some(({ trustedUntil }) => trustedUntil !== undefined);
    const phase: Phase = isDistributing ? "distributing" : isRetiring ? (others > 0 ? "reissuing" : "retiring") : "none";
    const retired = roots.flatMap(({ trustedUntil }) => (trustedUntil === undefined ? [] : [trustedUntil])).sort();
    const waitingFor: Readonly<Record<Phase, readonly string[]>> = {
      none: [],
      distributing: lacks,
      reissuing: [`${others} proxies still hold a certificate of an earlier root; each is given a new one`],
      retiring: [`the last certificate of an earlier root ends at ${retired.at(-1)}`],
    };
    return {
      origin: authority.origin,
      signerNotAfter: authority.notAfter.toISOString(),
      ...(rotation?.signingSince === undefined ? {} : { signingSince: rotation.signingSince }),
      phase,
      roots,
      ...(rotation === undefined ? {} : { rotation }),
      ...(isOwn ? { automaticRotationAt: new Date(automaticRotationAt()).toISOString() } : {}),
      waitingFor: waitingFor[phase],
      ...(refused === undefined ? {} : { refused }),
    };
  };

  const step = async (): Promise<void> => {
    if (!options.mayDrive()) {
      completeSince = undefined;
      return;
    }
    const data = options.secret();
    const request = options.request();
    const isNew = isUnanswered(request, data);
    let lacks: readonly string[] = [];
    if (authority.origin === "operator") {
      if (isNew) refused = { request, reason: operatorReason };
    } else if (data !== undefined) {
      const nextRoot = nextRootOf(data);
      if (nextRoot !== undefined) lacks = await distribute(nextRoot);
      else if (isNew) await begin(request, "requested");
      else if (Date.now() >= automaticRotationAt()) await begin(request ?? "", "expiry");
    }
    options.publish(statusOf(options.secret(), lacks));
  };

  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const turn = (): void => {
    running = step()
      .catch(options.failed)
      .then(() => {
        if (!stopped) timer = setTimeout(turn, options.tickMilliseconds ?? 1000).unref();
      });
  };
  turn();

  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
};
