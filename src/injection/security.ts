import type { V1Container, V1Pod, V1SecurityContext } from "@kubernetes/client-node";
import { quoted, refuse } from "./refusal.js";
import type { InjectionNamespace } from "./types.js";

export interface ProxyUser {
  readonly uid: number;
  readonly gid: number;
  /** The uid whose traffic the redirect rules let pass. */
  readonly redirectUid: number;
}

const defaultId = 1337;

/** The last id of a range as OpenShift writes it: `first/size` or `first-last`, several separated by commas. */
const lastOfRange = (name: string, text: string): number => {
  const [, first, separator, second] = /^(\d{1,10})([/-])(\d{1,10})$/.exec(text.split(",")[0]!.trim()) ?? [];
  const last = separator === "/" ? Number(first) + Number(second) - 1 : Number(second);
  return first !== undefined && last >= Number(first) && last <= 0x7fffffff
    ? last
    : refuse(
        `annotation ${name} of the namespace: ${quoted(text)} is not a range of ids; it is OpenShift's, of the form "1000620000/10000"`,
      );
};

/**
 * User and group that the proxy runs as, which the redirect rules let pass: what the pod's own istio-proxy container
 * says, else the end of OpenShift's range for the namespace, else 1337. With TPROXY Envoy needs a capability that only
 * root gets from Kubernetes, so the uid is 0 there; the rules then tell its traffic by the group, since the application
 * may well be root too.
 */
export const proxyUserOf = (
  namespace: InjectionNamespace,
  own: V1Container | undefined,
  mode: "REDIRECT" | "TPROXY",
): ProxyUser => {
  const range = namespace.annotations?.["openshift.io/sa.scc.uid-range"];
  const groups = namespace.annotations?.["openshift.io/sa.scc.supplemental-groups"];
  const uid =
    own?.securityContext?.runAsUser ??
    (range === undefined ? defaultId : lastOfRange("openshift.io/sa.scc.uid-range", range));
  const gid =
    own?.securityContext?.runAsGroup ??
    (groups === undefined ? defaultId : lastOfRange("openshift.io/sa.scc.supplemental-groups", groups));
  if (uid === 0 || gid === 0)
    refuse(
      "container istio-proxy: runAsUser or runAsGroup is 0, so the traffic of every container that runs as root would bypass the proxy; give another id",
    );
  return { uid: mode === "TPROXY" ? 0 : uid, gid, redirectUid: uid };
};

/** Of a container that changes the pod's network: root with that one capability. */
export const initSecurityContext: V1SecurityContext = {
  runAsUser: 0,
  runAsGroup: 0,
  runAsNonRoot: false,
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"], add: ["NET_ADMIN"] },
  seccompProfile: { type: "RuntimeDefault" },
};

export const proxySecurityContext = (user: ProxyUser, mode: "REDIRECT" | "TPROXY"): V1SecurityContext => ({
  runAsUser: user.uid,
  runAsGroup: user.gid,
  runAsNonRoot: user.uid !== 0,
  privileged: false,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: mode === "TPROXY" ? { drop: ["ALL"], add: ["NET_ADMIN"] } : { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
});

/** Containers whose traffic the redirect rules cannot tell from the proxy's. */
export const sharedUserWarnings = (pod: V1Pod, user: ProxyUser): readonly string[] => {
  const podContext = pod.spec?.securityContext;
  return (pod.spec?.containers ?? [])
    .filter(
      ({ securityContext }) =>
        (securityContext?.runAsUser ?? podContext?.runAsUser) === user.redirectUid ||
        (securityContext?.runAsGroup ?? podContext?.runAsGroup) === user.gid,
    )
    .map(
      ({ name }) =>
        `container ${name} runs as the proxy's own user or group (${user.redirectUid}, ${user.gid}), so its traffic bypasses the proxy; give it another runAsUser and runAsGroup`,
    );
};

const proxyPorts: ReadonlySet<number> = new Set([15000, 15001, 15006, 15020, 15021, 15090]);

export const takenPortWarnings = (pod: V1Pod): readonly string[] =>
  (pod.spec?.containers ?? []).flatMap(({ name, ports }) =>
    (ports ?? [])
      .filter(({ containerPort }) => proxyPorts.has(containerPort))
      .map(
        ({ containerPort }) => `container ${name} declares port ${containerPort}, which the proxy uses; choose another`,
      ),
  );
