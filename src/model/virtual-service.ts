import { warning } from "../api/findings.js";
import type { Finding } from "../api/kind.js";
import type { MeshConfig } from "../api/meshconfig.js";
import type { HttpRoute, VirtualService } from "../api/networking/virtual-service.js";
import { usesClaims } from "../api/networking/virtual-service-match.js";
import { qualifiedHost } from "./host.js";
import { exportTargets, isExportedTo } from "./hosts.js";
import { mergeDelegated } from "./virtual-service-delegates.js";
import {
  gatewayKey,
  type HttpRule,
  httpRule,
  type NameScope,
  type TcpRule,
  type TlsRule,
  tcpRule,
  tlsRule,
} from "./virtual-service-rules.js";

/** A VirtualService with hosts, ready for translation: delegates merged in, names full, durations in milliseconds. */
export interface ResolvedVirtualService {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  /** RFC 3339, "" if not known: the older wins a conflict. */
  readonly createdAt: string;
  /** Lower case and full; wildcards and addresses as they are. */
  readonly hosts: readonly string[];
  /** `mesh` or `namespace/name`. */
  readonly gateways: readonly string[];
  /** Namespaces of the proxies that see it; `*` for all. */
  readonly exportTo: ReadonlySet<string>;
  readonly http: readonly HttpRule[];
  readonly tls: readonly TlsRule[];
  readonly tcp: readonly TcpRule[];
  /** Keys of the VirtualServices that it delegates to, those that are missing too. */
  readonly delegates: readonly string[];
  /** What was left out, and why. */
  readonly findings: readonly Finding[];
}

type RoutingMesh = Pick<MeshConfig, "clusterDomain"> & {
  readonly defaultVirtualServiceExportTo?: readonly string[];
};

const identityOf = ({ metadata }: VirtualService): { readonly namespace: string; readonly name: string } => ({
  namespace: metadata?.namespace ?? "default",
  name: metadata?.name ?? "",
});

const delegateOf = (
  { delegate }: HttpRoute,
  namespace: string,
): { readonly namespace: string; readonly name: string } | undefined =>
  delegate?.name ? { namespace: delegate.namespace || namespace, name: delegate.name } : undefined;

/** Keys of the VirtualServices that it delegates to, whether there are any or not. */
export const delegateKeysOf = (object: VirtualService): readonly string[] => {
  const { namespace } = identityOf(object);
  if ((object.spec.hosts?.length ?? 0) === 0) return [];
  return [
    ...new Set(
      (object.spec.http ?? []).flatMap((route) => {
        const delegate = delegateOf(route, namespace);
        return delegate === undefined ? [] : [`${delegate.namespace}/${delegate.name}`];
      }),
    ),
  ];
};

const exportToOf = (object: VirtualService, mesh: RoutingMesh): ReadonlySet<string> =>
  exportTargets(object.spec.exportTo, identityOf(object).namespace, mesh.defaultVirtualServiceExportTo ?? ["*"]);

interface Rules {
  readonly rules: readonly HttpRule[];
  readonly findings: readonly Finding[];
}

const claimsNotice = "matches claims, which sidecars leave out; match them in a VirtualService of a gateway alone";

const nothing = (path: string, message: string): Rules => ({ rules: [], findings: [warning(path, message)] });

/** The rules of the VirtualService that a rule delegates to, in its place. */
const delegatedRules = (
  root: VirtualService,
  route: HttpRoute,
  path: string,
  find: (namespace: string, name: string) => VirtualService | undefined,
  mesh: RoutingMesh,
): Rules => {
  const { namespace } = identityOf(root);
  const identity = delegateOf(route, namespace);
  if (identity === undefined) return nothing(path, "names no VirtualService, so the rule is left out; name one");
  const key = `${identity.namespace}/${identity.name}`;
  const delegate = find(identity.namespace, identity.name);
  if (delegate === undefined) return nothing(path, `${key} does not exist, so the rule is left out; create it`);
  if ((delegate.spec.hosts?.length ?? 0) > 0)
    return nothing(path, `${key} has hosts, so nothing can be delegated to it and the rule is left out; remove them`);
  const exportTo = exportToOf(delegate, mesh);
  if (!isExportedTo(exportTo, namespace))
    return nothing(path, `${key} is not exported to ${namespace}, so the rule is left out; add that to its exportTo`);
  const isForMesh = (root.spec.gateways?.length ?? 0) === 0 || root.spec.gateways!.includes("mesh");
  const own = httpRule(route, { namespace, clusterDomain: mesh.clusterDomain });
  const scope: NameScope = { namespace: identity.namespace, clusterDomain: mesh.clusterDomain };
  const merged = (delegate.spec.http ?? []).map((each, index): Rules => {
    const where = `spec.http[${index}] of ${key}`;
    if (each.delegate !== undefined)
      return nothing(path, `${where} delegates in turn, which is not allowed, so it is left out`);
    const result = mergeDelegated(own, httpRule(each, scope));
    return "value" in result
      ? {
          rules: [result.value],
          findings: isForMesh && each.match?.some(usesClaims) ? [warning(path, `${where} ${claimsNotice}`)] : [],
        }
      : nothing(
          path,
          `${where} is left out: its ${result.conflict} is not within the match of the rule that delegates`,
        );
  });
  return { rules: merged.flatMap(({ rules }) => rules), findings: merged.flatMap(({ findings }) => findings) };
};

/**
 * Of a VirtualService that has hosts; undefined for one that has none, which others delegate to. `find` looks one up
 * among all, whatever its exportTo.
 */
export const resolveVirtualService = (
  object: VirtualService,
  find: (namespace: string, name: string) => VirtualService | undefined,
  mesh: RoutingMesh,
): ResolvedVirtualService | undefined => {
  const { spec } = object;
  if ((spec.hosts?.length ?? 0) === 0) return undefined;
  const { namespace, name } = identityOf(object);
  const scope: NameScope = { namespace, clusterDomain: mesh.clusterDomain };
  const http = (spec.http ?? []).map(
    (route, index): Rules =>
      route.delegate === undefined
        ? { rules: [httpRule(route, scope)], findings: [] }
        : delegatedRules(object, route, `spec.http[${index}].delegate`, find, mesh),
  );
  const gateways = (spec.gateways ?? []).map((gateway) => gatewayKey(gateway, namespace));
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    createdAt: (object.metadata?.creationTimestamp as string | undefined) ?? "",
    hosts: [...new Set(spec.hosts!.map((host) => qualifiedHost(host, namespace, mesh.clusterDomain)))],
    gateways: gateways.length === 0 ? ["mesh"] : [...new Set(gateways)],
    exportTo: exportToOf(object, mesh),
    http: http.flatMap(({ rules }) => rules),
    tls: (spec.tls ?? []).map((route) => tlsRule(route, scope)),
    tcp: (spec.tcp ?? []).map((route) => tcpRule(route, scope)),
    delegates: delegateKeysOf(object),
    findings: http.flatMap(({ findings }) => findings),
  };
};

/** Every host that traffic may go to, copies too. */
export const destinationHostsOf = ({ http, tls, tcp }: ResolvedVirtualService): readonly string[] => [
  ...new Set(
    [...http, ...tls, ...tcp]
      .flatMap(({ route }) => route)
      .concat(
        http.flatMap(({ mirrors }) => (mirrors ?? []).map((mirror) => ({ ...mirror, weight: 0, headers: undefined }))),
      )
      .map(({ destination }) => destination.host),
  ),
];
