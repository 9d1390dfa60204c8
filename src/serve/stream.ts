import { type EncodedResource, type ResourceView, type Touched, type TypeUrl, typeUrls } from "../compile/resources.js";
import type { DeltaDiscoveryRequest } from "../proto/envoy/service/discovery/v3/discovery_pb.js";
import type { ResponseEncoder, ResponseMessage } from "./encoding.js";
import { changeNames, type NameSet, noNames } from "./names.js";

/** Adds go in this order and removals of clusters and endpoints last, so that nothing in use points at nothing. */
const pushOrder: readonly TypeUrl[] = [
  typeUrls.cluster,
  typeUrls.endpoint,
  typeUrls.listener,
  typeUrls.route,
  typeUrls.secret,
  typeUrls.extension,
];
const wildcardTypes: ReadonlySet<string> = new Set([typeUrls.cluster, typeUrls.listener]);

interface Subscription {
  readonly isWildcard: boolean;
  names: NameSet;
  /** Names to send when the proxy has answered the last response. */
  readonly pending: Set<string>;
  /** The nonce that is not answered yet. One response a type is under way at most: a slow proxy costs no memory. */
  outstanding: string | undefined;
  /** What the response that is not answered yet holds, to name it if it is rejected. */
  sent: readonly (readonly EncodedResource[])[];
  /** A response is owed even if nothing is to be sent: the proxy waits for the first one. */
  isOwed: boolean;
}

export interface DeltaStreamOptions {
  readonly layers: readonly ResourceView[];
  readonly encoder: ResponseEncoder;
  /** Whether the proxy reads compressed messages. */
  readonly mayDeflate: boolean;
  readonly write: (message: ResponseMessage) => void;
  readonly acked: (type: TypeUrl) => void;
  readonly nacked: (type: TypeUrl, names: readonly string[], message: string) => void;
}

export interface DeltaStream {
  readonly receive: (request: DeltaDiscoveryRequest) => void;
  /** Notes what changed; `flush` sends it. */
  readonly mark: (touched: Touched) => void;
  readonly flush: () => void;
}

/** From this many on, walking the layers is cheaper than sorting. */
const manyNames = 64;

const isServed = (type: string): type is TypeUrl => (pushOrder as readonly string[]).includes(type);

/** The state of one delta ADS stream (xDS protocol, incremental variant): what is subscribed, sent and answered. */
export const createDeltaStream = (options: DeltaStreamOptions): DeltaStream => {
  const subscriptions = new Map<TypeUrl, Subscription>();

  const lookUp = (type: TypeUrl, name: string): EncodedResource | undefined => {
    for (const layer of options.layers) {
      const found = layer.get(type, name);
      if (found !== undefined) return found;
    }
    return undefined;
  };

  /**
   * The resources by layer, and the names that no layer has. In an order that does not depend on the proxy, which asks
   * in any: so that all who ask for the same are sent the same bytes.
   */
  const gather = (
    type: TypeUrl,
    names: ReadonlySet<string>,
  ): { readonly found: readonly (readonly EncodedResource[])[]; readonly gone: readonly string[] } => {
    const missing = new Set(names);
    const sorted = names.size < manyNames ? [...names].sort() : undefined;
    const found = options.layers.map((layer) => {
      const resources: EncodedResource[] = [];
      for (const name of sorted ?? layer.names(type)) {
        const resource = missing.has(name) ? layer.get(type, name) : undefined;
        if (resource === undefined) continue;
        resources.push(resource);
        missing.delete(name);
      }
      return resources;
    });
    return { found, gone: [...missing].sort() };
  };

  const mustWait = (type: TypeUrl): boolean => {
    if (type !== typeUrls.cluster && type !== typeUrls.endpoint) return false;
    return [typeUrls.listener, typeUrls.route].some((later) => {
      const subscription = subscriptions.get(later);
      return subscription !== undefined && (subscription.outstanding !== undefined || subscription.pending.size > 0);
    });
  };

  const send = (type: TypeUrl, subscription: Subscription): void => {
    if (subscription.outstanding !== undefined) return;
    if (subscription.pending.size === 0 && !subscription.isOwed) return;
    const { found, gone } = gather(type, subscription.pending);
    const removed = gone.length > 0 && mustWait(type) ? [] : gone;
    const isEmpty = found.every(({ length }) => length === 0);
    if (isEmpty && removed.length === 0 && !subscription.isOwed) return;
    subscription.pending.clear();
    if (removed.length === 0) for (const name of gone) subscription.pending.add(name);
    subscription.isOwed = false;
    const message = options.encoder.message(type, found, removed, options.mayDeflate);
    subscription.outstanding = message.nonce;
    subscription.sent = found;
    options.write(message);
    // A cluster that changed warms until it is given its endpoints, which the proxy does not ask for anew.
    if (type === typeUrls.cluster)
      for (const resources of found)
        mark(
          typeUrls.endpoint,
          resources.map(({ name }) => name),
        );
  };

  const flush = (): void => {
    for (const type of pushOrder) {
      const subscription = subscriptions.get(type);
      if (subscription !== undefined) send(type, subscription);
    }
  };

  const mark = (type: TypeUrl, names: Iterable<string>): void => {
    const subscription = subscriptions.get(type);
    if (subscription === undefined) return;
    for (const name of names)
      if (subscription.isWildcard || subscription.names.has(name)) subscription.pending.add(name);
  };

  const begin = (type: TypeUrl, request: DeltaDiscoveryRequest): Subscription => {
    const named = request.resourceNamesSubscribe;
    const isWildcard = wildcardTypes.has(type) && (named.length === 0 || named.includes("*"));
    const subscription: Subscription = {
      isWildcard,
      names: noNames,
      pending: new Set(),
      outstanding: undefined,
      sent: [],
      isOwed: true,
    };
    subscriptions.set(type, subscription);
    if (isWildcard)
      for (const layer of options.layers) for (const name of layer.names(type)) subscription.pending.add(name);
    return subscription;
  };

  const subscribe = (type: TypeUrl, request: DeltaDiscoveryRequest): void => {
    const isFirst = !subscriptions.has(type);
    const subscription = subscriptions.get(type) ?? begin(type, request);
    const named = request.resourceNamesSubscribe.filter((name) => name !== "*");
    for (const name of named) subscription.pending.add(name);
    if (!subscription.isWildcard)
      for (const name of request.resourceNamesUnsubscribe) subscription.pending.delete(name);
    subscription.names = changeNames(subscription.names, named, request.resourceNamesUnsubscribe);
    if (!isFirst) return;
    for (const [name, version] of Object.entries(request.initialResourceVersions)) {
      const current = lookUp(type, name);
      if (current?.version === version) subscription.pending.delete(name);
      else subscription.pending.add(name);
    }
  };

  const answer = (type: TypeUrl, subscription: Subscription, request: DeltaDiscoveryRequest): void => {
    if (request.responseNonce !== subscription.outstanding) return;
    subscription.outstanding = undefined;
    const { sent } = subscription;
    subscription.sent = [];
    if (request.errorDetail === undefined) options.acked(type);
    else
      options.nacked(
        type,
        sent.flatMap((resources) => resources.map(({ name }) => name)),
        request.errorDetail.message,
      );
  };

  return {
    receive: (request) => {
      const type = request.typeUrl;
      if (!isServed(type)) return;
      const known = subscriptions.get(type);
      if (known !== undefined && request.responseNonce !== "") answer(type, known, request);
      subscribe(type, request);
      flush();
    },
    mark: (touched) => {
      for (const [type, names] of touched) mark(type, names);
    },
    flush,
  };
};
