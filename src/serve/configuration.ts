import type { EncodedResource, ResourceView, Touched, TypeUrl } from "../compile/resources.js";

/** Who holds the stream, from the verified token and the API server's pod; nothing of it is what the proxy said. */
export interface ProxyIdentity {
  readonly namespace: string;
  readonly podName: string;
  readonly podUid: string;
  readonly serviceAccount: string;
}

/** What has become of resources: on their way, taken by the proxy, or rejected by it. */
export type Delivery = "sent" | "held" | "rejected";

/** Told of the resources of each response, by layer. */
export type Delivered = (type: TypeUrl, resources: readonly (readonly EncodedResource[])[], delivery: Delivery) => void;

/** One proxy's configuration: layers (shared outbound, own inbound, own secrets); no name is in two layers. */
export interface ProxyConfiguration {
  readonly layers: readonly ResourceView[];
  /** Calls back after layers have changed; several layers may tell separately. Returns the unsubscription. */
  readonly onChange: (listener: (layer: ResourceView, touched: Touched) => void) => () => void;
  /** Calls back when the pod is gone, and the stream is to end; a token that expires meanwhile ends nothing. */
  readonly onGone?: (listener: (why: string) => void) => () => void;
  /** Given a way to ask whether the proxy holds everything; called once, before the first response. */
  readonly opened?: (isInSync: () => boolean) => void;
  /** Called after each answer of the proxy, and before each change that it is to be told of. */
  readonly answered?: () => void;
  /** Called when resources are sent, and with the same ones when the proxy has answered. */
  readonly delivered?: Delivered;
  readonly release: () => void;
}

export interface ConfigurationSource {
  /** Resolves once the pod is known to the model; rejects after the signal aborts. */
  readonly attach: (proxy: ProxyIdentity, signal: AbortSignal) => Promise<ProxyConfiguration>;
  /** `message` is Envoy's own, without secrets and cut. */
  readonly nacked: (proxy: ProxyIdentity, type: TypeUrl, names: readonly string[], message: string) => void;
}

/**
 * Verifies a bearer token that came from this address; rejects with an error whose message is fit for the client and
 * holds no secret.
 */
export type Authenticate = (token: string, address: string) => Promise<ProxyIdentity>;
