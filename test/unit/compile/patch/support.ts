import { fromBinary, toJson } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { parse } from "yaml";
import type { EnvoyFilter } from "../../../../src/api/networking/envoy-filter.js";
import type { PatchContext } from "../../../../src/compile/patch/match.js";
import { envoyTypes } from "../../../../src/compile/patch/types.js";
import type { Cluster } from "../../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import type { FilterChain } from "../../../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import type { RouteConfiguration } from "../../../../src/proto/envoy/config/route/v3/route_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../../../src/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { compileYaml, podYaml } from "../../../support/compiled.js";

const yaml = `
apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec:
  clusterIP: 10.96.0.7
  selector: { app: web }
  ports:
    - { name: http, port: 8080 }
    - { name: tcp, port: 9090 }
    - { name: other, port: 7070 }
---
apiVersion: v1
kind: Service
metadata: { name: reviews, namespace: shop }
spec: { clusterIP: 10.96.0.1, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: ratings, namespace: shop }
spec: { clusterIP: 10.96.0.2, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: db, namespace: shop }
spec: { clusterIP: 10.96.0.9, ports: [{ name: tcp, port: 5432 }] }
---
apiVersion: v1
kind: Service
metadata: { name: a, namespace: shop }
spec: { clusterIP: 10.96.0.8, ports: [{ name: other, port: 7070 }] }
---
${podYaml("web", "shop", { labels: { app: "web" } })}
`;

const made = compileYaml(yaml, "shop/web");

/** As the mesh generates them. */
export const inboundListener = (): Listener => made.listeners.get("virtualInbound")!;
export const outboundListeners = (): readonly Listener[] =>
  ["virtualOutbound", "0.0.0.0_80", "10.96.0.9_5432", "10.96.0.8_7070"].map((name) => made.listeners.get(name)!);
export const httpListener = (): Listener => outboundListeners()[1]!;
export const outboundRoutes = (): RouteConfiguration => made.routes.get("80")!;
export const reviewsCluster = (): Cluster => made.clusters.get("outbound|80||reviews.shop.svc.cluster.local")!;
export const applicationCluster = (): Cluster => made.clusters.get("inbound|8080||")!;

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

/** Without those of security policies, which are in every inbound chain. */
export const filterNames = (manager: HttpConnectionManager | undefined): readonly string[] =>
  (manager?.httpFilters ?? []).flatMap(({ name, configType }) =>
    configType.case === "configDiscovery" ? [] : [name.replace("envoy.filters.http.", "")],
  );

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
