/** The fields of Istio's MeshConfig that are honoured, with its names and defaults; durations in milliseconds. */
export interface MeshConfig {
  readonly rootNamespace: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly outboundTrafficPolicy: "ALLOW_ANY" | "REGISTRY_ONLY";
  readonly enableAutoMtls: boolean;
  readonly connectTimeoutMilliseconds: number;
  /** How long a port whose protocol is not declared waits for the client's first bytes before it counts as TCP. */
  readonly protocolDetectionTimeoutMilliseconds: number;
}

export const defaultMeshConfig: MeshConfig = {
  rootNamespace: "istio-system",
  trustDomain: "cluster.local",
  clusterDomain: "cluster.local",
  outboundTrafficPolicy: "ALLOW_ANY",
  enableAutoMtls: true,
  connectTimeoutMilliseconds: 10_000,
  protocolDetectionTimeoutMilliseconds: 1000,
};
