import type { ObjectEvent } from "../../src/api/kubernetes.js";
import { namespaceOf } from "./mesh.js";

const metadataOf = (service: number) => ({
  name: `app-${service}`,
  namespace: namespaceOf(service),
  creationTimestamp: "2026-01-01T00:00:00Z",
});

/** Weighted routes to the two subsets of a service of `meshEvents`. */
export const virtualServiceEvent = (service: number, weight = 50): ObjectEvent => {
  const metadata = metadataOf(service);
  const host = metadata.name;
  return {
    kind: "VirtualService",
    ...{ namespace: metadata.namespace, name: metadata.name },
    object: {
      metadata,
      spec: {
        hosts: [host],
        http: [
          { match: [{ uri: { prefix: "/v2" } }], route: [{ destination: { host, subset: "v2" } }], timeout: "5s" },
          {
            route: [
              { destination: { host, subset: "v1" }, weight },
              { destination: { host, subset: "v2" }, weight: 100 - weight },
            ],
          },
        ],
      },
    },
  };
};

export const destinationRuleEvent = (service: number, maxConnections = 100): ObjectEvent => {
  const metadata = metadataOf(service);
  return {
    kind: "DestinationRule",
    ...{ namespace: metadata.namespace, name: metadata.name },
    object: {
      metadata,
      spec: {
        host: metadata.name,
        trafficPolicy: { outlierDetection: { consecutive5xxErrors: 7 } },
        subsets: [
          { name: "v1", labels: { version: "v1" }, trafficPolicy: { connectionPool: { tcp: { maxConnections } } } },
          { name: "v2", labels: { version: "v2" } },
        ],
      },
    },
  };
};

/** A Sidecar of one pod's own, which sees its namespace alone. */
export const sidecarEvent = (service: number, app: string): ObjectEvent => ({
  kind: "Sidecar",
  namespace: namespaceOf(service),
  name: `sidecar-${service}`,
  object: {
    metadata: { name: `sidecar-${service}`, namespace: namespaceOf(service) },
    spec: { workloadSelector: { labels: { app } }, egress: [{ hosts: ["./*"] }] },
  },
});
