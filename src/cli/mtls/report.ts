import type { Pod } from "../../api/kubernetes.js";
import { inboundPortsOf } from "../../model/inbound.js";
import { decidingPolicyOf, type MtlsMode, mtlsModeOf } from "../../model/peer-authentication.js";
import type { Snapshot } from "../../model/snapshot.js";
import { hasSidecar } from "../sidecar.js";
import { type CallerIdentity, createIdentify, workloadOf } from "./callers.js";
import type { InboundStatistics, PlaintextCaller, Volume } from "./statistics.js";

/** A proxy's answer, of all time or of a window; or why there is none, with the cure. */
export type Answer = { readonly statistics: InboundStatistics } | { readonly unanswered: string };

export interface CallerReport extends CallerIdentity, Omit<PlaintextCaller, "port"> {}

/** One port of a workload, over all its pods that answered. */
export interface PortReport {
  readonly namespace: string;
  /** As `Deployment/echo`; of a pod that nothing has made, `Pod/name`. */
  readonly workload: string;
  /** `other`: those in no Service on which nobody was seen. */
  readonly port: number | "other";
  readonly pods: number;
  readonly mode: MtlsMode;
  /** `namespace/name` of the PeerAuthentication that decides; undefined if none does. */
  readonly policy: string | undefined;
  /** After the move. */
  readonly nextMode: MtlsMode;
  readonly mtls: Volume;
  readonly plaintext: Volume;
  readonly callers: readonly CallerReport[];
}

export interface MtlsReport {
  readonly ports: readonly PortReport[];
  /** Pods that could not be asked, or did not tell all. */
  readonly unanswered: readonly { readonly pod: string; readonly reason: string }[];
  /** Addresses that would be cut off, each counted once. */
  readonly cutOff: number;
}

export interface MtlsQuestion {
  /** As things are. */
  readonly snapshot: Snapshot;
  /** As they would be; undefined is STRICT everywhere. */
  readonly next: Snapshot | undefined;
  readonly isInScope: (namespace: string) => boolean;
}

interface Modes {
  readonly mode: MtlsMode;
  readonly nextMode: MtlsMode;
}

const homeOf = (pod: Pod): string => pod.metadata?.namespace ?? "default";
const labelsOf = (pod: Pod): Readonly<Record<string, string>> => pod.metadata?.labels ?? {};

/** A port that no policy names, for what holds for the ports in no Service. */
const anyPort = 0;

const modesOf = ({ snapshot, next }: MtlsQuestion, pod: Pod, port: number | "other"): Modes => {
  const number = port === "other" ? anyPort : port;
  return {
    mode: mtlsModeOf(snapshot, homeOf(pod), labelsOf(pod), number),
    nextMode: next === undefined ? "STRICT" : mtlsModeOf(next, homeOf(pod), labelsOf(pod), number),
  };
};

const movesToStrict = ({ mode, nextMode }: Modes): boolean => mode !== "STRICT" && nextMode === "STRICT";

/** Ports that a Service or a policy names, and all others. */
const knownPorts = ({ snapshot, next }: MtlsQuestion, pod: Pod): readonly (number | "other")[] => {
  const named = [snapshot, next ?? snapshot].flatMap((each) =>
    (each.peerAuthentications.get(homeOf(pod))?.policies ?? []).flatMap(({ spec }) =>
      Object.keys(spec.portLevelMtls ?? {}).map(Number),
    ),
  );
  return [...new Set([...inboundPortsOf(snapshot, pod).map(({ port }) => port), ...named]), "other"];
};

const isServing = (pod: Pod): boolean =>
  hasSidecar(pod) &&
  pod.spec?.hostNetwork !== true &&
  pod.metadata?.deletionTimestamp === undefined &&
  pod.status?.phase === "Running";

/** The pods of which some port would move to STRICT: only their proxies have to be asked. */
export const podsToAsk = (question: MtlsQuestion): readonly Pod[] =>
  [...question.snapshot.pods.values()].filter(
    (pod) =>
      question.isInScope(homeOf(pod)) &&
      isServing(pod) &&
      knownPorts(question, pod).some((port) => movesToStrict(modesOf(question, pod, port))),
  );

const none: Volume = { connections: 0, requests: 0 };
const sum = (left: Volume, right: Volume = none): Volume => ({
  connections: left.connections + right.connections,
  requests: left.requests + right.requests,
});

const addCallers = (before: readonly CallerReport[], more: readonly CallerReport[]): readonly CallerReport[] => {
  const all = new Map(before.map((caller) => [caller.address, caller]));
  for (const caller of more) {
    const { connections = 0, requests = 0, open = 0 } = all.get(caller.address) ?? {};
    all.set(caller.address, {
      ...caller,
      connections: caller.connections + connections,
      requests: caller.requests + requests,
      open: caller.open + open,
    });
  }
  return [...all.values()];
};

export const podNameOf = (pod: Pod): string => `${homeOf(pod)}/${pod.metadata?.name}`;

/** What is known of every port that would move, and who would be cut off. `answers` are by pod, `namespace/name`. */
export const mtlsReport = (question: MtlsQuestion, answers: ReadonlyMap<string, Answer>): MtlsReport => {
  const identify = createIdentify(question.snapshot);
  const ports = new Map<string, PortReport>();
  const unanswered: { readonly pod: string; readonly reason: string }[] = [];
  for (const pod of podsToAsk(question)) {
    const answer = answers.get(podNameOf(pod)) ?? { unanswered: "it was not asked" };
    if ("unanswered" in answer) unanswered.push({ pod: podNameOf(pod), reason: answer.unanswered });
    const statistics = "statistics" in answer ? answer.statistics : undefined;
    if (statistics?.isFull === true)
      unanswered.push({
        pod: podNameOf(pod),
        reason: "it has had more plaintext callers than it can name; restart it, and look again",
      });
    const seen = new Set([
      ...knownPorts(question, pod),
      ...[...(statistics?.callers ?? [])].map(({ port }) => port),
      ...[...(statistics?.plaintext.keys() ?? [])],
    ]);
    for (const port of seen) {
      const modes = modesOf(question, pod, port);
      if (!movesToStrict(modes)) continue;
      const workload = workloadOf(pod) ?? `Pod/${pod.metadata?.name}`;
      const deciding = decidingPolicyOf(
        question.snapshot,
        homeOf(pod),
        labelsOf(pod),
        port === "other" ? anyPort : port,
      );
      const policy = deciding && `${deciding.metadata?.namespace}/${deciding.metadata?.name}`;
      const key = JSON.stringify([homeOf(pod), workload, port, modes, policy]);
      const before = ports.get(key);
      const callers = (statistics?.callers ?? [])
        .filter((caller) => caller.port === port)
        .map(({ port: _, ...caller }) => ({
          ...caller,
          ...identify(caller.address, pod, Number(port)),
        }));
      ports.set(key, {
        namespace: homeOf(pod),
        workload,
        port,
        pods: (before?.pods ?? 0) + (statistics === undefined ? 0 : 1),
        ...modes,
        policy,
        mtls: sum(before?.mtls ?? none, statistics?.mtls.get(port)),
        plaintext: sum(before?.plaintext ?? none, statistics?.plaintext.get(port)),
        callers: addCallers(before?.callers ?? [], callers),
      });
    }
  }
  const order = (port: PortReport): string =>
    `${port.namespace}/${port.workload} ${port.port === "other" ? "~" : String(port.port).padStart(5, "0")}`;
  const sorted = [...ports.values()].sort((left, right) => (order(left) < order(right) ? -1 : 1));
  return {
    ports: sorted,
    unanswered,
    cutOff: new Set(sorted.flatMap(({ callers }) => callers.map(({ address }) => address))).size,
  };
};
