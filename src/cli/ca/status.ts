import type { AuthorityStatus, Phase } from "../../main/certificates/state.js";
import { shortFingerprint, table } from "../output.js";
import type { AuthorityView } from "./record.js";

const phases: Readonly<Record<Phase, string>> = {
  none: "none under way",
  distributing: "the new root is being given to everyone, and signs nothing yet",
  reissuing: "the new root signs, and every certificate is issued anew",
  retiring: "every certificate is of the new root; the earlier one is trusted until its last certificate has ended",
};

const origins: Readonly<Record<AuthorityStatus["origin"], string>> = {
  "self-made": "self-made (Secret istio-ca-secret)",
  operator: "the operator's (Secret cacerts)",
};

/** As JSON and YAML show it. */
export const plainStatus = ({ status, reports }: AuthorityView): object => ({
  ...status,
  replicas: Object.fromEntries([...reports].sort(([left], [right]) => (left < right ? -1 : 1))),
});

export const statusText = ({ status, reports }: AuthorityView): string => {
  const signing = status.roots.find(({ signs }) => signs);
  const since = status.signingSince ?? signing?.notBefore;
  const held = new Map<string, number>();
  for (const { byRoot } of reports.values())
    for (const [root, count] of Object.entries(byRoot)) held.set(root, (held.get(root) ?? 0) + count);
  const proxies = [...reports.values()].reduce((sum, report) => sum + report.proxies, 0);
  const automatic =
    status.phase === "none" && status.automaticRotationAt !== undefined
      ? `; without being asked at ${status.automaticRotationAt}`
      : "";
  const facts = [
    ["Authority", origins[status.origin]],
    ...(status.workloads === "spire"
      ? [["Workloads", "have certificates of SPIRE; this authority signs those of heddled itself alone"]]
      : []),
    ["Signs", `${shortFingerprint(signing?.sha256 ?? "")}, since ${since}, until ${status.signerNotAfter}`],
    ["Rotation", phases[status.phase] + automatic],
    ...status.waitingFor.map((what, at) => [at === 0 ? "Waits for" : "", what]),
    ...(status.refused === undefined ? [] : [["Refused", status.refused.reason]]),
    ["Proxies", `${proxies} connected to ${reports.size} replicas`],
  ];
  const roots = [
    ["ROOT", "SUBJECT", "EXPIRES", "SIGNS", "TRUSTED UNTIL", "CERTIFICATES"],
    ...status.roots.map(({ sha256, subject, notAfter, signs, trustedUntil }) => [
      shortFingerprint(sha256),
      subject,
      notAfter,
      signs ? "yes" : "no",
      trustedUntil ?? "in force",
      String(held.get(sha256) ?? 0),
    ]),
  ];
  const replicas = [
    ["REPLICA", "PROXIES", "TRUST ALL ROOTS"],
    ...[...reports].sort().map(([name, report]) => [name, String(report.proxies), String(report.trusting)]),
  ];
  return [table(facts), table(roots), table(replicas)].join("\n");
};
