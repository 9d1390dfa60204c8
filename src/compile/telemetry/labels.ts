import type { WorkloadLabels } from "../../model/workload-labels.js";
import { clusterKeys, metadataKey, peerStateKey } from "./keys.js";

/** Which end of a call the proxy is at. */
export type Side = "client" | "server";

/** Whether the caller has proved who it is. */
export type Security = "mtls" | "plaintext";

export type Labels = Readonly<Record<string, string>>;

interface Operator {
  readonly command: string;
  readonly param?: string;
}

const unknown = "unknown";

/** Set by injection: what a proxy is called by does not stand in its configuration, which many proxies share. */
const environment = (name: string): string => `%ENVIRONMENT(${name})%`;

/** A formatter has no default of its own; the environment of the proxy holds the word. */
const orUnknown = (...operators: readonly Operator[]): string =>
  `%COALESCE(${JSON.stringify({ operators: [...operators, { command: "ENVIRONMENT", param: "HEDDLE_UNKNOWN" }] })})%`;

const own = (end: "source" | "destination"): Labels => ({
  [`${end}_workload`]: environment("HEDDLE_WORKLOAD"),
  [`${end}_workload_namespace`]: environment("POD_NAMESPACE"),
  [`${end}_app`]: environment("HEDDLE_APP"),
  [`${end}_version`]: environment("HEDDLE_VERSION"),
  [`${end}_cluster`]: environment("HEDDLE_CLUSTER"),
  [`${end}_canonical_service`]: environment("HEDDLE_CANONICAL_SERVICE"),
  [`${end}_canonical_revision`]: environment("HEDDLE_CANONICAL_REVISION"),
});

type Peer = Readonly<Record<keyof WorkloadLabels | "namespace" | "cluster", string>>;

const other = (end: "source" | "destination", peer: Peer): Labels => ({
  [`${end}_workload`]: peer.workload,
  [`${end}_workload_namespace`]: peer.namespace,
  [`${end}_app`]: peer.app,
  [`${end}_version`]: peer.version,
  [`${end}_cluster`]: peer.cluster,
  [`${end}_canonical_service`]: peer.service,
  [`${end}_canonical_revision`]: peer.revision,
});

const peerParts = ["workload", "namespace", "app", "version", "cluster", "service", "revision"] as const;

const peerBy = (format: (part: (typeof peerParts)[number]) => string): Peer =>
  Object.fromEntries(peerParts.map((part) => [part, format(part)])) as Record<(typeof peerParts)[number], string>;

const nobody = peerBy(() => unknown);

/** What the certificate of this connection says, which the handshake has left in filter state. */
const certified = peerBy((part) => orUnknown({ command: "FILTER_STATE", param: `${peerStateKey(part)}:PLAIN` }));

const endpoint = peerBy((part) => orUnknown({ command: "UPSTREAM_METADATA", param: `${metadataKey}:${part}` }));

const service = Object.fromEntries(
  Object.entries(clusterKeys).map(([label, key]) => [
    label,
    orUnknown({ command: "CLUSTER_METADATA", param: `${metadataKey}:${key}` }),
  ]),
);

const parties = (side: Side, security: Security): Labels =>
  side === "client"
    ? {
        ...own("source"),
        source_principal: orUnknown({ command: "UPSTREAM_LOCAL_URI_SAN" }),
        ...other("destination", endpoint),
        destination_principal: orUnknown({ command: "UPSTREAM_PEER_URI_SAN" }),
      }
    : {
        ...other("source", security === "mtls" ? certified : nobody),
        source_principal: security === "mtls" ? orUnknown({ command: "DOWNSTREAM_PEER_URI_SAN" }) : unknown,
        ...own("destination"),
        destination_principal: security === "mtls" ? orUnknown({ command: "DOWNSTREAM_LOCAL_URI_SAN" }) : unknown,
      };

const securityPolicy = (side: Side, security: Security): string => {
  if (side === "client") return unknown;
  return security === "mtls" ? "mutual_tls" : "none";
};

/** Istio's labels, by the format strings of Envoy that give their values. */
export const labelsOf = (side: Side, security: Security, protocol: "http" | "grpc" | "tcp"): Labels => ({
  reporter: side === "client" ? "source" : "destination",
  ...parties(side, security),
  ...service,
  request_protocol: protocol,
  ...(protocol === "tcp" ? {} : { response_code: "%RESPONSE_CODE%" }),
  ...(protocol === "grpc" ? { grpc_response_status: "%GRPC_STATUS_NUMBER%" } : {}),
  response_flags: "%RESPONSE_FLAGS%",
  connection_security_policy: securityPolicy(side, security),
});
