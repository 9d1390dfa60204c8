import { create, toBinary } from "@bufbuild/protobuf";
import type { MeshService, PersistentSession } from "../../model/service.js";
import {
  type Route,
  RouteSchema,
  type VirtualHost,
  VirtualHostSchema,
} from "../../proto/envoy/config/route/v3/route_components_pb.js";
import { type RouteConfiguration, RouteConfigurationSchema } from "../../proto/envoy/config/route/v3/route_pb.js";
import { type Fragment, fragmentOf, lengthDelimited } from "../encode.js";
import { unreachedHeader } from "../http.js";
import type { UnknownTraffic } from "../listeners/outbound.js";
import { maxDirectResponseBodyBytes } from "./http.js";
import { plainRoute } from "./plain.js";
import { sessionConfig } from "./sessions.js";

/** A virtual host, encoded once for all route configurations that hold it. */
export interface EncodedHost {
  readonly message: VirtualHost;
  /** As the field `virtual_hosts` of a RouteConfiguration. */
  readonly field: Fragment;
  /** Whether its domains cannot be another's: names of a Kubernetes Service. */
  readonly isCanonical: boolean;
}

const virtualHostsField = 2;

export const encodeHost = (message: VirtualHost, isCanonical: boolean): EncodedHost => ({
  message,
  field: fragmentOf(lengthDelimited(virtualHostsField, toBinary(VirtualHostSchema, message))),
  isCanonical,
});

export const virtualHost = (
  name: string,
  domains: readonly string[],
  routes: readonly Route[],
  session?: PersistentSession,
): VirtualHost =>
  create(VirtualHostSchema, {
    name,
    typedPerFilterConfig: sessionConfig(session),
    domains: [...domains],
    routes: [...routes],
    includeRequestAttemptCount: true,
    responseHeadersToRemove: [unreachedHeader],
  });

const hostForm = (address: string): string => (address.includes(":") ? `[${address}]` : address);

/** Every name by which a client in the namespace calls the service. */
export const domainsOf = (service: MeshService, isOwnNamespace: boolean): readonly string[] => {
  const { host, name, namespace, addresses, isHeadless } = service;
  if (service.origin === "ServiceEntry")
    return host.startsWith("*")
      ? [host]
      : [host, `${host}.`, ...addresses.filter((it) => !it.includes("/")).map(hostForm)];
  const names = [host, `${name}.${namespace}`, `${name}.${namespace}.svc`, ...(isOwnNamespace ? [name] : [])];
  return [
    ...names,
    `${host}.`,
    ...addresses.map(hostForm),
    ...(isHeadless ? names.map((domain) => `*.${domain}`) : []),
  ];
};

export const blockedHosts = (): VirtualHost =>
  create(VirtualHostSchema, {
    name: "block_all",
    domains: ["*"],
    routes: [
      create(RouteSchema, {
        name: "block_all",
        match: { pathSpecifier: { case: "prefix", value: "/" } },
        action: { case: "directResponse", value: { status: 502 } },
      }),
    ],
  });

const unknownHosts = (unknown: UnknownTraffic): VirtualHost =>
  unknown === undefined ? blockedHosts() : virtualHost("allow_any", ["*"], [plainRoute(unknown)]);

const withoutHosts = (name: string): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name,
    ignorePortInHostMatching: true,
    validateClusters: false,
    maxDirectResponseBodySizeBytes: maxDirectResponseBodyBytes,
  });

const catchAlls = new Map<UnknownTraffic, EncodedHost>();

const catchAll = (unknown: UnknownTraffic): EncodedHost => {
  const known = catchAlls.get(unknown) ?? encodeHost(unknownHosts(unknown), true);
  catchAlls.set(unknown, known);
  return known;
};

/** Envoy refuses a whole route configuration for one domain that is in it twice: the first host keeps it. */
const withoutTwins = (hosts: readonly EncodedHost[]): readonly EncodedHost[] => {
  if (hosts.every(({ isCanonical }) => isCanonical)) return hosts;
  const taken = new Set<string>(["*"]);
  return hosts.flatMap((host) => {
    const domains = host.message.domains.filter((domain) => !taken.has(domain.toLowerCase()));
    for (const domain of domains) taken.add(domain.toLowerCase());
    if (domains.length === host.message.domains.length) return host;
    return domains.length === 0
      ? []
      : encodeHost(create(VirtualHostSchema, { ...host.message, domains }), host.isCanonical);
  });
};

/** The route configuration `<port>` of all HTTP hosts on that port. */
export const encodePortRoutes = (
  port: number,
  hosts: readonly EncodedHost[],
  unknown: UnknownTraffic,
): readonly Fragment[] => [
  fragmentOf(toBinary(RouteConfigurationSchema, withoutHosts(String(port)))),
  ...withoutTwins(hosts).map(({ field }) => field),
  catchAll(unknown).field,
];

export const hostRouteName = (host: string, port: number): string => `${host}:${port}`;

/** Routes of one service on a port whose protocol is detected: its address alone has chosen it. */
export const hostRoutes = (
  { host, persistentSession }: MeshService,
  port: number,
  routes: readonly Route[],
): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    ...withoutHosts(hostRouteName(host, port)),
    virtualHosts: [virtualHost(`${host}:${port}`, ["*"], routes, persistentSession)],
  });
