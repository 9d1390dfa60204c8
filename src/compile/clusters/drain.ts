import { create } from "@bufbuild/protobuf";
import { Cluster_DiscoveryType, ClusterSchema } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import { RequestMethod } from "../../proto/envoy/config/core/v3/base_pb.js";
import { encodeResource } from "../encode.js";
import { boundAddress } from "../listeners/addresses.js";
import { type EncodedResource, typeUrls } from "../resources.js";

const adminPort = 15000;

/** A cluster whose health check is a call of the proxy to its own admin interface, made when the proxy is sent it. */
const adminCall = (name: string, path: string): EncodedResource =>
  encodeResource(
    typeUrls.cluster,
    name,
    ClusterSchema,
    create(ClusterSchema, {
      name,
      clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.STATIC },
      connectTimeout: { seconds: 1n },
      loadAssignment: {
        clusterName: name,
        endpoints: [
          {
            lbEndpoints: [
              {
                hostIdentifier: {
                  case: "endpoint",
                  value: { address: boundAddress("127.0.0.1", adminPort) },
                },
              },
            ],
          },
        ],
      },
      healthChecks: [
        {
          timeout: { seconds: 1n },
          interval: { seconds: 3600n },
          noTrafficInterval: { seconds: 3600n },
          unhealthyThreshold: 1,
          healthyThreshold: 1,
          healthChecker: { case: "httpHealthCheck", value: { path, host: "localhost", method: RequestMethod.POST } },
        },
      ],
    }),
  );

/** The proxy closes each HTTP connection with its next answer, and takes new ones. */
export const tellCallersToGo = adminCall("drain|callers", "/healthcheck/fail");

/** The proxy refuses new connections from other pods; a caller's proxy tries those elsewhere. */
export const refuseConnections = adminCall("drain|connections", "/drain_listeners?inboundonly");
