import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import type { HttpRoute, VirtualService } from "../../../src/api/networking/virtual-service.js";
import { virtualService } from "../../../src/api/networking/virtual-service.js";
import { httpConnectionManager } from "../../../src/compile/http.js";
import { httpRoutes, type RouteContext } from "../../../src/compile/routes/http.js";
import { standardTelemetry } from "../../../src/model/telemetry.js";
import type { Listener } from "../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { resolved, routeConfiguration, sidecarContext } from "../../support/routing.js";
import { loopbackListener } from "./loopback-envoy.js";

/** A listener of a sidecar whose requests all go by one VirtualService. */
export const ruleListener = (
  name: string,
  http: readonly HttpRoute[],
  context: Partial<RouteContext> = {},
): Listener => {
  const object: VirtualService = {
    metadata: { name, namespace: "shop" },
    spec: { hosts: ["reviews"], http: [...http] },
  };
  const errors = virtualService.check(object).filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(`${name}: ${JSON.stringify(errors)}`);
  const routes = httpRoutes(resolved(object), { ...sidecarContext, ...context });
  return loopbackListener(name, [
    [
      httpConnectionManager({
        direction: "outbound",
        mesh: defaultMeshConfig,
        reporting: standardTelemetry(defaultMeshConfig).client,
        statPrefix: name,
        routes: { inline: routeConfiguration(name, routes) },
      }),
    ],
  ]);
};
