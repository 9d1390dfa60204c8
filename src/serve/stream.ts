import { type EncodedResource, type ResourceView, type Touched, type TypeUrl, typeUrls } from "../compile/resources.js";
import type { DeltaDiscoveryRequest } from "../proto/envoy/service/discovery/v3/discovery_pb.js";
import { type ResponseEncoder, withNonce } from "./encoding.js";

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
  isWildcard: boolean;
  readonly names: Set<string>;
  /** Names to send when the proxy has answered the last response. */
  readonly pending: Set<string>;
  /** The nonce that is not answered yet. One response a type is under way at most: a slow proxy costs no memory. */
  outstanding: string | undefined;
  /** A response is owed even if nothing is to be sent: the proxy waits for the first one. */
  isOwed: boolean;
}

export interface DeltaStreamOptions {
  readonly layers: readonly ResourceView[];
  readonly encoder: ResponseEncoder;
  readonly write: (message: Buffer) => void;
  readonly acked: (type: TypeUrl) => void;
  readonly nacked: (type: TypeUrl, names: readonly string[], message: string) => void;
}

export interface DeltaStream {
  readonly receive: (request: DeltaDiscoveryRequest) => void;
  readonly touched: (touched: Touched) => void;
}

/** Proxies name the same resources; one string for all of them. */
const interned = new Map<string, string>();
const intern = (name: string): string => {
  const known = interned.get(name);
  if (known !== undefined) return known;
  if (interned.size < 200_000) interned.set(name, name);
  return name;
};

const isServed = (type: string): type is TypeUrl => (pushOrder as readonly string[]).includes(type);

/** The state of one delta ADS stream (xDS protocol, incremental variant): what is subscribed, sent and answered. */
export const createDeltaStream = (options: DeltaStreamOptions): DeltaStream => {
  const subscriptions = new Map<TypeUrl, Subscription>();
  const lastSent = new Map<TypeUrl, readonly string[]>();
  let sent = 0;

  const lookUp = (type: TypeUrl, name: string): EncodedResource | undefined => {
    for (const layer of options.layers) {
      const found = layer.get(type, name);
      if (found !== undefined) return found;
    }
    return undefined;
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
    const resources: EncodedResource[] = [];
    const gone: string[] = [];
    for (const name of subscription.pending) {
      const resource = lookUp(type, name);
      if (resource === undefined) gone.push(name);
      else resources.push(resource);
    }
    const removed = gone.length > 0 && mustWait(type) ? [] : gone;
    if (resources.length === 0 && removed.length === 0 && !subscription.isOwed) return;
    subscription.pending.clear();
    if (removed.length === 0) for (const name of gone) subscription.pending.add(name);
    subscription.isOwed = false;
    subscription.outstanding = (++sent).toString(36);
    const names = resources.map(({ name }) => name);
    lastSent.set(type, names);
    options.write(withNonce(options.encoder.body(type, resources, removed), subscription.outstanding));
    // A cluster that changed warms until it is given its endpoints, which the proxy does not ask for anew.
    if (type === typeUrls.cluster) mark(typeUrls.endpoint, names);
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
      names: new Set(),
      pending: new Set(),
      outstanding: undefined,
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
    for (const name of request.resourceNamesSubscribe) {
      if (name === "*") continue;
      const own = intern(name);
      subscription.names.add(own);
      subscription.pending.add(own);
    }
    for (const name of request.resourceNamesUnsubscribe) {
      subscription.names.delete(name);
      if (!subscription.isWildcard) subscription.pending.delete(name);
    }
    if (!isFirst) return;
    for (const [name, version] of Object.entries(request.initialResourceVersions)) {
      const current = lookUp(type, name);
      if (current?.version === version) subscription.pending.delete(name);
      else subscription.pending.add(intern(name));
    }
  };

  const answer = (type: TypeUrl, subscription: Subscription, request: DeltaDiscoveryRequest): void => {
    if (request.responseNonce !== subscription.outstanding) return;
    subscription.outstanding = undefined;
    if (request.errorDetail === undefined) options.acked(type);
    else options.nacked(type, lastSent.get(type) ?? [], request.errorDetail.message);
    lastSent.delete(type);
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
    touched: (touched) => {
      for (const [type, names] of touched) mark(type, names);
      flush();
    },
  };
};
