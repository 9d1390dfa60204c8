import { fingerprintOf } from "../../identity/authority.js";
import { selfMadeSecret } from "../../identity/authority-secret.js";
import type { LiveAuthority } from "../../identity/live-authority.js";
import type { RootRotation } from "../../identity/root-rotation.js";
import { parseCertificates } from "../../identity/x509.js";
import type { HoldingSummary } from "./holdings.js";

/** What one replica of heddled knows of its own proxies, for the others and for `heddle ca status`. */
export interface ReplicaReport extends HoldingSummary {
  /** SHA-256 of each root that it trusts and tells its proxies to trust. */
  readonly roots: readonly string[];
  /** Whether the ConfigMaps of namespaces and the webhooks hold these roots, as far as it sees. */
  readonly written: boolean;
}

export type Phase = "none" | "distributing" | "reissuing" | "retiring";

export interface RootStatus {
  /** In hex, without colons. */
  readonly sha256: string;
  readonly subject: string;
  /** RFC 3339, as all times here. */
  readonly notBefore: string;
  readonly notAfter: string;
  readonly signs: boolean;
  /** When it stops to be trusted; absent while it is in force. */
  readonly trustedUntil?: string;
}

/** The authority as the ConfigMap `heddle-ca` shows it; nothing in it is secret. */
export interface AuthorityStatus {
  readonly origin: "self-made" | "operator";
  /** Absent where this authority signs the workloads' certificates. */
  readonly workloads?: "spire";
  /** When what signs expires: its root, or an intermediate before it. */
  readonly signerNotAfter: string;
  readonly signingSince?: string;
  readonly phase: Phase;
  readonly roots: readonly RootStatus[];
  readonly rotation?: RootRotation;
  /** When the self-made root will be rotated without being asked. */
  readonly automaticRotationAt?: string;
  /** What the present phase waits for. */
  readonly waitingFor: readonly string[];
  /** A request that was not followed, and why. */
  readonly refused?: { readonly request: string; readonly reason: string };
}

/** `O=cluster.local` in one line, as RFC 4514 has it. */
const subjectOf = (subject: string | undefined): string => (subject ?? "").trim().split("\n").reverse().join(",");

export const rootStatuses = (authority: LiveAuthority): readonly RootStatus[] => {
  const signing = fingerprintOf(authority.rootPem);
  return authority.trustedRoots().map(({ pem, until }) => {
    const [root] = parseCertificates(pem);
    const sha256 = fingerprintOf(pem);
    return {
      sha256,
      subject: subjectOf(root?.subject),
      notBefore: root?.validFromDate.toISOString() ?? "",
      notAfter: root?.validToDate.toISOString() ?? "",
      signs: sha256 === signing,
      ...(until === undefined ? {} : { trustedUntil: new Date(until).toISOString() }),
    };
  });
};

/** What keeps the next root from signing: everyone must trust it first. In words, for people. */
export const distributionLacks = (
  nextRoot: string,
  replicas: readonly string[],
  reports: ReadonlyMap<string, ReplicaReport>,
): readonly string[] =>
  replicas.flatMap((replica) => {
    const report = reports.get(replica);
    if (report === undefined)
      return [`replica ${replica} has not reported; if it stays so, see its log, or restart it in this version`];
    if (!report.roots.includes(nextRoot))
      return [`replica ${replica} has not read the new root from ${selfMadeSecret}`];
    const late = report.proxies - report.trusting;
    return [
      ...(report.written ? [] : [`replica ${replica} still writes istio-ca-root-cert or the webhooks' caBundle`]),
      ...(late > 0
        ? [
            `${late} of ${report.proxies} proxies of ${replica} have not taken the new root: ${report.behind.join(", ")}; restart such a pod if it stays so`,
          ]
        : []),
    ];
  });

/** How many connected proxies hold a certificate of another root than this one. */
export const holdersOfOthers = (root: string, reports: Iterable<ReplicaReport>): number => {
  let others = 0;
  for (const { byRoot } of reports)
    for (const [holds, count] of Object.entries(byRoot)) if (holds !== root) others += count;
  return others;
};
