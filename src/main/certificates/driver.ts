import { fingerprintOf, type SecretStore } from "../../identity/authority.js";
import { type SecretData, selfMadeSecret } from "../../identity/authority-secret.js";
import type { LiveAuthority } from "../../identity/live-authority.js";
import { beginRotation, completeRotation, nextRootOf, readRotation } from "../../identity/root-rotation.js";
import { distrustRoot, trustSecret } from "../../identity/trust-secret.js";
import { parseCertificates } from "../../identity/x509.js";
import type { CertificateSource } from "./identities.js";
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
  /** Who signs the workloads' certificates. */
  readonly workloads: CertificateSource;
  /** Of several replicas only one drives at a time. */
  readonly mayDrive: () => boolean;
  /** `istio-ca-secret` as it is. */
  readonly secret: () => SecretData | undefined;
  /** The replicas that serve proxies, whether they have reported or not. */
  readonly replicas: () => readonly string[];
  readonly reports: () => ReadonlyMap<string, ReplicaReport>;
  /** The rotation that someone has asked for last, by a name of its own; an earlier one is of no account. */
  readonly request: () => string | undefined;
  /** SHA-256 of a root that is to be dropped before its time. */
  readonly unwanted: () => string | undefined;
  /** A request, or a root that was unwanted, by its value: nothing more is to be done about it. */
  readonly answered: (value: string) => void;
  readonly told: (message: string, details: Readonly<Record<string, unknown>>) => void;
  readonly failed: (error: Error) => void;
  readonly tickMilliseconds?: number;
}

export interface RotationDriver {
  /** As of the last look; nothing while another replica drives. */
  readonly status: () => AuthorityStatus | undefined;
  readonly stop: () => Promise<void>;
}

const operatorReason =
  "the certificate authority is the operator's (Secret cacerts), and heddled does not rotate it: replace what that Secret holds, as docs/certificates.md says; heddled follows without a restart";

/**
 * Drives the rotation of the self-made root from phase to phase. All that it needs to go on is in the cluster, so that any
 * replica can take over in any phase.
 */
export const createRotationDriver = (options: RotationDriverOptions): RotationDriver => {
  const { authority, store } = options;
  /** Since when nothing lacks, by this machine's own clock. */
  let completeSince: number | undefined;
  let refused: AuthorityStatus["refused"];
  let status: AuthorityStatus | undefined;
  let stopped = false;

  const isUnanswered = (request: string | undefined, data: SecretData | undefined): request is string =>
    request !== undefined &&
    request !== refused?.request &&
    (data === undefined || readRotation(data)?.request !== request);

  /** What is known of the Secret may be late; the store decides, and says whether anything was changed. */
  const update = async (change: (data: SecretData | undefined) => SecretData | undefined): Promise<boolean> => {
    let isChanged = false;
    await store.update(selfMadeSecret, (data) => {
      const next = change(data);
      isChanged = next !== undefined;
      return next;
    });
    return isChanged;
  };

  const begin = async (request: string, reason: "requested" | "expiry"): Promise<void> => {
    const { trustDomain, rootLifetimeMilliseconds } = options;
    if (await update(await beginRotation({ request, reason, trustDomain, rootLifetimeMilliseconds })))
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
    if (await update(completeRotation(nextRoot)))
      options.told("everyone trusts the new root: it signs, and every certificate is issued anew", { root: nextRoot });
    return [];
  };

  /** By the root that is to sign, whether it does so yet or not. */
  const automaticRotationAt = (data: SecretData): number => {
    const [root] = parseCertificates(data["ca-cert.pem"] ?? "");
    return (root?.validToDate.getTime() ?? Number.POSITIVE_INFINITY) - options.rotateBeforeMilliseconds;
  };

  const statusOf = (data: SecretData | undefined, lacks: readonly string[]): AuthorityStatus => {
    const isOwn = authority.origin === "self-made";
    const roots = rootStatuses(authority);
    const signing = fingerprintOf(authority.rootPem);
    const own = isOwn ? data : undefined;
    const rotation = own === undefined ? undefined : readRotation(own);
    const others = holdersOfOthers(signing, options.reports().values());
    const phase = ((): Phase => {
      if (own !== undefined && nextRootOf(own) !== undefined) return "distributing";
      const isToSwitch = own !== undefined && fingerprintOf(own["ca-cert.pem"] ?? "") !== signing;
      if (isToSwitch || others > 0) return "reissuing";
      return roots.some(({ trustedUntil }) => trustedUntil !== undefined) ? "retiring" : "none";
    })();
    const retired = roots.flatMap(({ trustedUntil }) => (trustedUntil === undefined ? [] : [trustedUntil])).sort();
    const waitingFor: Readonly<Record<Phase, readonly string[]>> = {
      none: [],
      distributing: lacks,
      reissuing: [
        `${others === 0 ? "all" : others} proxies still hold a certificate of an earlier root; each is given a new one`,
      ],
      retiring: [`the last certificate of an earlier root ends at ${retired.at(-1)}`],
    };
    return {
      origin: authority.origin,
      ...(options.workloads === "spire" ? { workloads: options.workloads } : {}),
      signerNotAfter: authority.notAfter.toISOString(),
      ...(rotation?.signingSince === undefined ? {} : { signingSince: rotation.signingSince }),
      phase,
      roots,
      ...(rotation === undefined ? {} : { rotation }),
      ...(own === undefined ? {} : { automaticRotationAt: new Date(automaticRotationAt(own)).toISOString() }),
      waitingFor: waitingFor[phase],
      ...(refused === undefined ? {} : { refused }),
    };
  };

  /** One that signs or is to sign stays, whatever was asked. */
  const dropUnwanted = async (): Promise<void> => {
    const unwanted = options.unwanted();
    if (unwanted === undefined) return;
    const isHeld = authority
      .trustedRoots()
      .some(({ pem, until }) => until !== undefined && fingerprintOf(pem) === unwanted);
    if (!isHeld) return options.answered(unwanted);
    await store.update(trustSecret, distrustRoot(unwanted));
    options.told("a root is trusted no more, as was asked for", { root: unwanted });
  };

  const step = async (): Promise<void> => {
    if (!options.mayDrive()) {
      completeSince = undefined;
      status = undefined;
      return;
    }
    const data = options.secret();
    const request = options.request();
    const isNew = isUnanswered(request, data);
    let lacks: readonly string[] = [];
    if (request !== undefined && !isNew) options.answered(request);
    if (authority.origin === "operator") {
      if (isNew) refused = { request, reason: operatorReason };
    } else if (data !== undefined) {
      const nextRoot = nextRootOf(data);
      if (nextRoot !== undefined) lacks = await distribute(nextRoot);
      else if (isNew) await begin(request, "requested");
      else if (Date.now() >= automaticRotationAt(data)) await begin(request ?? "", "expiry");
    }
    await dropUnwanted();
    status = statusOf(options.secret(), lacks);
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
    status: () => status,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
};
