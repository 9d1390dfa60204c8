import type { MeshConfig } from "../api/meshconfig.js";
import type { PeerAuthentication } from "../api/security/peer-authentication.js";
import { isForAll, type Labels, selectsOrAll } from "./selector.js";

/** What a port takes: the mesh's mutual TLS alone, plaintext alone, or both. */
export type MtlsMode = "DISABLE" | "PERMISSIVE" | "STRICT";

/** Modes of one workload. */
export interface MtlsModes {
  readonly mode: MtlsMode;
  /** The workload's own ports that differ from `mode`, ascending. */
  readonly ports: ReadonlyMap<number, MtlsMode>;
}

/** The PeerAuthentications of one namespace. */
export interface NamespacePeerAuthentications {
  /** Oldest first. */
  readonly policies: readonly PeerAuthentication[];
  /** Those that select workloads, oldest first. */
  readonly selecting: readonly PeerAuthentication[];
  /** Of the oldest that is for the whole namespace; undefined inherits. */
  readonly mode: MtlsMode | undefined;
}

/** What modes are composed from. */
export interface MtlsRules {
  readonly mesh: Pick<MeshConfig, "rootNamespace">;
  /** By namespace. */
  readonly peerAuthentications: ReadonlyMap<string, NamespacePeerAuthentications>;
}

const set = (mtls: PeerAuthentication["spec"]["mtls"]): MtlsMode | undefined =>
  mtls?.mode === "UNSET" ? undefined : mtls?.mode;

/** `policies` oldest first: of several for the whole namespace the oldest decides, also by setting nothing. */
export const peerAuthenticationsOf = (policies: readonly PeerAuthentication[]): NamespacePeerAuthentications => ({
  policies,
  selecting: policies.filter((policy) => !isForAll(policy)),
  mode: set(policies.find(isForAll)?.spec.mtls),
});

/** By its key, `namespace/name`. */
export const peerAuthenticationAt = (rules: MtlsRules, key: string): PeerAuthentication | undefined => {
  const [namespace = "", name] = key.split("/");
  return rules.peerAuthentications.get(namespace)?.policies.find(({ metadata }) => metadata?.name === name);
};

/** Whether it is for this workload, be it that a narrower or an older one decides. */
export const reaches = (rules: MtlsRules, policy: PeerAuthentication, namespace: string, labels: Labels): boolean => {
  const { rootNamespace } = rules.mesh;
  const own = policy.metadata?.namespace ?? "default";
  if (own === rootNamespace) return isForAll(policy);
  return own === namespace && selectsOrAll(policy.spec.selector?.matchLabels, labels);
};

const none: ReadonlyMap<number, MtlsMode> = new Map();
const uniform: { readonly [Mode in MtlsMode]: MtlsModes } = {
  DISABLE: { mode: "DISABLE", ports: none },
  PERMISSIVE: { mode: "PERMISSIVE", ports: none },
  STRICT: { mode: "STRICT", ports: none },
};

/** What holds where no policy does. */
export const permissive: MtlsModes = uniform.PERMISSIVE;

/**
 * Mesh, then namespace, then workload, then port: the narrowest that sets a mode decides. In the root namespace a policy
 * is for the mesh or not in force: nothing there selects workloads.
 */
export const mtlsModesOf = (rules: MtlsRules, namespace: string, labels: Labels): MtlsModes => {
  const { rootNamespace } = rules.mesh;
  const own = rules.peerAuthentications.get(namespace);
  const inherited = own?.mode ?? rules.peerAuthentications.get(rootNamespace)?.mode ?? "PERMISSIVE";
  const chosen =
    namespace === rootNamespace
      ? undefined
      : own?.selecting.find(({ spec }) => selectsOrAll(spec.selector?.matchLabels, labels));
  if (chosen === undefined) return uniform[inherited];
  const mode = set(chosen.spec.mtls) ?? inherited;
  const ports = Object.entries(chosen.spec.portLevelMtls ?? {})
    .map(([port, mtls]) => [Number(port), set(mtls) ?? mode] as const)
    .filter(([, ofPort]) => ofPort !== mode)
    .sort(([a], [b]) => a - b);
  return ports.length === 0 ? uniform[mode] : { mode, ports: new Map(ports) };
};

/** Which policy decides a port's mode; without one, `PERMISSIVE` holds. */
export const decidingPolicyOf = (
  rules: MtlsRules,
  namespace: string,
  labels: Labels,
  port: number,
): PeerAuthentication | undefined => {
  const { rootNamespace } = rules.mesh;
  const forAll = (home: string): PeerAuthentication | undefined => {
    const found = rules.peerAuthentications.get(home)?.policies.find(isForAll);
    return set(found?.spec.mtls) === undefined ? undefined : found;
  };
  const chosen =
    namespace === rootNamespace
      ? undefined
      : rules.peerAuthentications
          .get(namespace)
          ?.selecting.find(({ spec }) => selectsOrAll(spec.selector?.matchLabels, labels));
  const own = set(chosen?.spec.portLevelMtls?.[port]) ?? set(chosen?.spec.mtls);
  return own === undefined ? (forAll(namespace) ?? forAll(rootNamespace)) : chosen;
};

export const modeOfPort = ({ mode, ports }: MtlsModes, port: number): MtlsMode => ports.get(port) ?? mode;

/** What a port of the workload that carries these labels takes; `port` is the workload's own. */
export const mtlsModeOf = (rules: MtlsRules, namespace: string, labels: Labels, port: number): MtlsMode =>
  modeOfPort(mtlsModesOf(rules, namespace, labels), port);

/** Which ports take no mutual TLS: equal texts mean that clients send to the workload as before. */
export const plaintextKey = ({ mode, ports }: MtlsModes): string => {
  const isPlain = mode === "DISABLE";
  const others = [...ports].filter(([, ofPort]) => (ofPort === "DISABLE") !== isPlain).map(([port]) => port);
  return `${isPlain} ${others.join()}`;
};
