export const passthroughCluster = "PassthroughCluster";
export const blackHoleCluster = "BlackHoleCluster";
export const inboundPassthroughCluster = "InboundPassthroughCluster";

export const outboundClusterName = (host: string, port: number, subset = ""): string =>
  `outbound|${port}|${subset}|${host}`;
export const inboundClusterName = (port: number): string => `inbound|${port}||`;
/** The SNI of mutual TLS: the cluster's name in the form that fits a DNS name. */
export const sniOf = (host: string, port: number, subset = ""): string => `outbound_.${port}_.${subset}_.${host}`;
