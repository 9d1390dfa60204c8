import type { MeshService } from "../../model/service.js";

/** Where metadata of clusters and endpoints holds what telemetry tells of them. */
export const metadataKey = "heddle";

/** Of a cluster's metadata, by the label of metrics that it gives. */
export const clusterKeys = {
  destination_service: "host",
  destination_service_name: "name",
  destination_service_namespace: "namespace",
} as const;

/** How metrics call a service. */
export type ServiceName = Readonly<Record<(typeof clusterKeys)[keyof typeof clusterKeys], string>>;

export const serviceName = ({ host, name, namespace }: MeshService): ServiceName => ({ host, name, namespace });

/** Of a connection, what its certificate says of the peer. */
export const peerStateKey = (part: string): string => `heddle.peer.${part}`;
