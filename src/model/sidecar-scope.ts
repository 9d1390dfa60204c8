import type { Sidecar, SidecarEgressListener } from "../api/networking/sidecar.js";
import { byAge } from "./age.js";
import { qualifiedHost } from "./host.js";
import { hostMatches } from "./hosts.js";
import { type Labels, selects } from "./selector.js";
import type { MeshService } from "./service.js";
import type { Snapshot } from "./snapshot.js";

/** `namespace/host` of an egress listener, its short forms resolved. */
interface Import {
  /** Undefined for any. */
  readonly namespace: string | undefined;
  readonly host: string;
  readonly isExclusion: boolean;
}

export interface EgressListener {
  /** Undefined: all ports that no other listener has. */
  readonly port: number | undefined;
  /** Where the proxy listens itself, for applications that speak to it; undefined if traffic is redirected. */
  readonly bind: string | undefined;
  readonly imports: readonly Import[];
}

/** Where the proxy listens as an HTTP proxy, which its clients ask for any host and port. */
export interface HttpProxyListener {
  readonly port: number;
  readonly bind: string;
}

/** What of the mesh a Sidecar lets a client see. */
export interface SidecarScope {
  readonly listeners: readonly EgressListener[];
  readonly httpProxies: readonly HttpProxyListener[];
  readonly outboundTrafficPolicy:
    | {
        readonly mode: "ALLOW_ANY" | "REGISTRY_ONLY" | undefined;
        /** Takes what is for nobody known, instead of passing it on. */
        readonly egressProxy: { readonly host: string; readonly port: number; readonly subset: string } | undefined;
      }
    | undefined;
}

/** The one Sidecar of a workload: of its namespace by labels, else for the whole namespace, else the mesh's. */
export const sidecarOf = (snapshot: Snapshot, namespace: string, labels: Labels): Sidecar | undefined => {
  const of = (home: string): readonly Sidecar[] =>
    [...(snapshot.sidecarsOfNamespace.get(home) ?? [])].flatMap((key) => snapshot.sidecars.get(key) ?? []).sort(byAge);
  const selectorOf = ({ spec }: Sidecar): Labels => spec.workloadSelector?.labels ?? {};
  const isGeneral = (sidecar: Sidecar): boolean => Object.keys(selectorOf(sidecar)).length === 0;
  const own = of(namespace);
  return (
    own.find((sidecar) => selects(selectorOf(sidecar), labels)) ??
    own.find(isGeneral) ??
    of(snapshot.mesh.rootNamespace).find(isGeneral)
  );
};

const readImport = (written: string, own: string): readonly Import[] => {
  const isExclusion = written.startsWith("~") && written.includes("/") && written !== "~/*";
  const [left = "", host = "*"] = (isExclusion ? written.slice(1).replace(/^\//, "*/") : written).split("/");
  if (left === "~") return [];
  const namespace = left === "*" ? undefined : left === "." ? own : left;
  return [{ namespace, host: host.toLowerCase(), isExclusion }];
};

const isHttpProxy = ({ port }: SidecarEgressListener): boolean => port?.protocol?.toUpperCase() === "HTTP_PROXY";

const egressProxyOf = ({ spec }: Sidecar, namespace: string, clusterDomain: string) => {
  const { host, port, subset } = spec.outboundTrafficPolicy?.egressProxy ?? {};
  if (host === undefined || port?.number === undefined) return undefined;
  return { host: qualifiedHost(host, namespace, clusterDomain), port: port.number, subset: subset ?? "" };
};

/** Reads a Sidecar's egress for clients of this namespace; without any, everything is seen. */
export const scopeOf = (sidecar: Sidecar, namespace: string, clusterDomain: string): SidecarScope => ({
  listeners: (sidecar.spec.egress ?? [{ hosts: ["*/*"] }]).map((listener) => {
    const { port, bind, captureMode, hosts } = listener;
    const own = bind !== undefined && bind !== "" ? bind : captureMode === "NONE" ? "127.0.0.1" : undefined;
    return {
      ...(isHttpProxy(listener) ? { port: undefined, bind: undefined } : { port: port?.number, bind: own }),
      imports: (hosts ?? []).flatMap((host) => readImport(host, namespace)),
    };
  }),
  httpProxies: (sidecar.spec.egress ?? [])
    .filter(isHttpProxy)
    .map(({ port, bind }) => ({ port: port?.number ?? 0, bind: bind || "127.0.0.1" })),
  outboundTrafficPolicy: sidecar.spec.outboundTrafficPolicy && {
    mode: sidecar.spec.outboundTrafficPolicy.mode,
    egressProxy: egressProxyOf(sidecar, namespace, clusterDomain),
  },
});

const isImported = ({ imports }: EgressListener, namespace: string, host: string): boolean => {
  const matches = (item: Import): boolean =>
    (item.namespace === undefined || item.namespace === namespace) &&
    (hostMatches(item.host, host) || (host.startsWith("*") && hostMatches(host, item.host)));
  return (
    imports.some((item) => !item.isExclusion && matches(item)) &&
    !imports.some((item) => item.isExclusion && matches(item))
  );
};

/** Whether a rule on this host, in this namespace, is seen by any of the listeners. */
export const seesRule = ({ listeners }: SidecarScope, namespace: string, hosts: readonly string[]): boolean =>
  listeners.some((listener) => hosts.some((host) => isImported(listener, namespace, host)));

/** The service with the ports that are seen; undefined if none is. `isImplied`: a rule that is seen leads to it. */
export const seenService = (
  { listeners }: SidecarScope,
  service: MeshService,
  isImplied: boolean,
): MeshService | undefined => {
  const rest = listeners.filter(({ port }) => port === undefined);
  const isSeen = (number: number): boolean => {
    const locked = listeners.filter(({ port }) => port === number);
    const candidates = locked.length > 0 ? locked : rest;
    return (
      candidates.some((listener) => isImported(listener, service.namespace, service.host)) ||
      (isImplied && locked.length === 0)
    );
  };
  const ports = service.ports.filter(({ port }) => isSeen(port));
  if (ports.length === 0 && service.externalName === undefined) return undefined;
  return ports.length === service.ports.length ? service : { ...service, ports };
};
