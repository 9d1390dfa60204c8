/** The xDS resource types the mesh serves, by short name. */
export const typeUrls = {
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  endpoint: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  route: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  secret: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
  extension: "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
} as const;

export type TypeUrl = (typeof typeUrls)[keyof typeof typeUrls];

/** One named resource, encoded once; `encoded` is a whole `envoy.service.discovery.v3.Resource` message (name, version, Any). */
export interface EncodedResource {
  readonly name: string;
  /** Equal versions mean equal bytes. */
  readonly version: string;
  readonly encoded: Uint8Array;
}

/**
 * What a set of proxies sees. Proxies with the same needs hold the same instance, so that a change is computed and
 * encoded once for all of them.
 */
export interface ResourceView {
  readonly get: (type: TypeUrl, name: string) => EncodedResource | undefined;
  readonly names: (type: TypeUrl) => Iterable<string>;
}

/** Names added, changed or removed, by type; the receiver looks each up in the view. */
export type Touched = ReadonlyMap<TypeUrl, readonly string[]>;
