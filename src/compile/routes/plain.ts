import { create } from "@bufbuild/protobuf";
import { type Route, RouteSchema } from "../../proto/envoy/config/route/v3/route_components_pb.js";

const noTimeout = { seconds: 0n };

/** Everything to one cluster, without retries and without Envoy's own timeout of 15 s. */
export const plainRoute = (cluster: string): Route =>
  create(RouteSchema, {
    name: "default",
    match: { pathSpecifier: { case: "prefix", value: "/" } },
    action: {
      case: "route",
      value: {
        clusterSpecifier: { case: "cluster", value: cluster },
        timeout: noTimeout,
        maxStreamDuration: { maxStreamDuration: noTimeout, grpcTimeoutHeaderMax: noTimeout },
      },
    },
  });
