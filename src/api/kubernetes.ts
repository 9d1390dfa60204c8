import type { V1EndpointSlice, V1Namespace, V1Node, V1Pod, V1Service } from "@kubernetes/client-node";
import type { Json } from "./json.js";
import type { ConfigurationObjects } from "./kinds.js";
import type { KeySet } from "./security/key-set.js";

export type Namespace = Json<V1Namespace>;
export type Service = Json<V1Service>;
export type EndpointSlice = Json<V1EndpointSlice>;
export type Pod = Json<V1Pod>;
export type Node = Json<V1Node>;

/** The kinds the mesh watches, by Kubernetes kind name. */
export interface ObjectKinds extends ConfigurationObjects {
  readonly Namespace: Namespace;
  readonly Service: Service;
  readonly EndpointSlice: EndpointSlice;
  readonly Pod: Pod;
  readonly Node: Node;
  /** Of no cluster: what the control plane fetches itself. Its name is the id of the source. */
  readonly KeySet: KeySet;
}

export type Kind = keyof ObjectKinds;

/**
 * One change of one object. `object` is absent when the object is gone. Objects are never mutated after delivery.
 * `namespace` is "" for cluster-scoped kinds.
 */
export type ObjectEvent = {
  [K in Kind]: {
    readonly kind: K;
    readonly namespace: string;
    readonly name: string;
    readonly object: ObjectKinds[K] | undefined;
  };
}[Kind];

/** Delivers batches of changes; the first batch after `synced` resolves a consumer may treat the set as complete. */
export interface ObjectSource {
  readonly subscribe: (listener: (events: readonly ObjectEvent[]) => void) => void;
  /** Resolves when every kind has been listed once and delivered. */
  readonly synced: Promise<void>;
  readonly stop: () => Promise<void>;
}
