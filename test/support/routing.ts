import { create } from "@bufbuild/protobuf";
import { defaultMeshConfig } from "../../src/api/meshconfig.js";
import type { VirtualService } from "../../src/api/networking/virtual-service.js";
import { unreachedHeader } from "../../src/compile/http.js";
import type { RouteContext } from "../../src/compile/routes/http.js";
import { maxDirectResponseBodyBytes } from "../../src/compile/routes/http.js";
import { type ResolvedVirtualService, resolveVirtualService } from "../../src/model/virtual-service.js";
import type { Route } from "../../src/proto/envoy/config/route/v3/route_components_pb.js";
import { type RouteConfiguration, RouteConfigurationSchema } from "../../src/proto/envoy/config/route/v3/route_pb.js";

/** A sidecar in namespace shop that knows nothing of destinations but how to name their clusters. */
export const sidecarContext: RouteContext = {
  client: { namespace: "shop", labels: { app: "a", version: "v1" } },
  port: 80,
  gateways: new Set(["mesh"]),
  mesh: defaultMeshConfig,
  clusterOf: ({ host, subset, port }) => `outbound|${port ?? 80}|${subset ?? ""}|${host}`,
  hashPolicyOf: () => [],
};

export const resolved = (object: VirtualService, others: readonly VirtualService[] = []): ResolvedVirtualService => {
  const find = (namespace: string, name: string): VirtualService | undefined =>
    others.find(({ metadata }) => metadata?.namespace === namespace && metadata.name === name);
  const result = resolveVirtualService(object, find, defaultMeshConfig);
  if (result === undefined) throw new Error("a delegate");
  return result;
};

/** Routes as a proxy gets them, for every host. */
export const routeConfiguration = (name: string, routes: readonly Route[]): RouteConfiguration =>
  create(RouteConfigurationSchema, {
    name,
    virtualHosts: [
      {
        name: "all",
        domains: ["*"],
        routes: [...routes],
        includeRequestAttemptCount: true,
        responseHeadersToRemove: [unreachedHeader],
      },
    ],
    validateClusters: false,
    maxDirectResponseBodySizeBytes: maxDirectResponseBodyBytes,
  });
