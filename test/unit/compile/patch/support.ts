import { fromBinary, toJson } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { parse } from "yaml";
import { defaultMeshConfig } from "../../../../src/api/meshconfig.js";
import type { EnvoyFilter } from "../../../../src/api/networking/envoy-filter.js";
import { inboundCluster, outboundCluster } from "../../../../src/compile/clusters.js";
import {
  detectingListener,
  httpPortListener,
  tcpListener,
  virtualInbound,
  virtualOutbound,
} from "../../../../src/compile/listeners.js";
import type { PatchContext } from "../../../../src/compile/patch/match.js";
import { envoyTypes } from "../../../../src/compile/patch/types.js";
import { portRoutes } from "../../../../src/compile/routes.js";
import type { MeshService, ServicePort } from "../../../../src/model/service.js";
import type { Cluster } from "../../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import type { FilterChain } from "../../../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import type { RouteConfiguration } from "../../../../src/proto/envoy/config/route/v3/route_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../../../src/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

const mesh = defaultMeshConfig;
const port: ServicePort = { name: "http", port: 80, protocol: "http", targetPort: 8080, isTls: false };
const service = (name: string): MeshService => ({
  key: `shop/${name}`,
  origin: "Service",
  namespace: "shop",
  name,
  host: `${name}.shop.svc.cluster.local`,
  addresses: ["10.96.0.1"],
  ports: [port],
  selector: {},
  resolution: "eds",
  isHeadless: false,
  externalName: undefined,
  clientAffinity: false,
  isExternal: false,
  subjectAltNames: [],
  exportTo: new Set(["*"]),
  createdAt: "",
});

/** As the mesh generates them. */
export const inboundListener = (): Listener =>
  virtualInbound(
    [
      { port: 8080, protocol: "http" },
      { port: 9090, protocol: "tcp" },
      { port: 7070, protocol: "auto" },
    ],
    ["IPv4"],
    false,
    mesh,
  );
export const outboundListeners = (): readonly Listener[] => [
  virtualOutbound(["IPv4"], mesh),
  httpPortListener(80, ["IPv4"], mesh),
  tcpListener("10.96.0.9", 5432, "outbound|5432||db.shop.svc.cluster.local"),
  detectingListener("10.96.0.8", 7070, "a.shop.svc.cluster.local", "outbound|7070||a.shop.svc.cluster.local", mesh),
];
export const httpListener = (): Listener => outboundListeners()[1]!;
export const outboundRoutes = (): RouteConfiguration =>
  portRoutes(
    80,
    ["reviews", "ratings"].map((name) => ({ service: service(name), port, targetHost: service(name).host })),
    "shop",
    mesh,
  );
export const reviewsCluster = (): Cluster => outboundCluster(service("reviews"), port, [], mesh);
export const applicationCluster = (): Cluster => inboundCluster("inbound|8080||", mesh);

export const contextOf = (direction: PatchContext["direction"]): PatchContext => ({
  direction,
  proxyVersion: "1.29.0",
  nodeMetadata: { CLUSTER_ID: "Kubernetes" },
});
export const inbound = contextOf("SIDECAR_INBOUND");
export const outbound = contextOf("SIDECAR_OUTBOUND");

let count = 0;
/** One filter with these patches, in YAML or as objects. */
export const filterOf = (patches: string | readonly object[], extra: object = {}): EnvoyFilter => ({
  metadata: { name: `f${++count}`, namespace: "shop" },
  spec: { configPatches: typeof patches === "string" ? parse(patches) : patches, ...extra },
});

/** By the name of each chain, its HTTP connection manager. */
export const managersOf = (listener: Listener): Readonly<Record<string, HttpConnectionManager>> =>
  Object.fromEntries(
    [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])].flatMap(
      ({ name, filters }: FilterChain) =>
        filters.flatMap(({ configType }) => {
          if (configType.case !== "typedConfig" || !configType.value.typeUrl.endsWith("HttpConnectionManager"))
            return [];
          return [[name, fromBinary(HttpConnectionManagerSchema, configType.value.value)]];
        }),
    ),
  );

export const filterNames = (manager: HttpConnectionManager | undefined): readonly string[] =>
  (manager?.httpFilters ?? []).map(({ name }) => name.replace("envoy.filters.http.", ""));

/** JSON of a typed config, as a reader of YAML would write it. */
export const configJson = (filter: {
  readonly configType: { readonly case?: string | undefined; readonly value?: unknown };
}) => {
  const any = filter.configType.value as Parameters<typeof anyUnpack>[0];
  const message = anyUnpack(any, envoyTypes())!;
  return toJson(envoyTypes().getMessage(message.$typeName)!, message, {
    registry: envoyTypes(),
    useProtoFieldName: true,
  });
};
