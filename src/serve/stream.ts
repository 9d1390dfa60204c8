import { type EncodedResource, type ResourceView, type Touched, type TypeUrl, typeUrls } from "../compile/resources.js";
import type { DeltaDiscoveryRequest } from "../proto/envoy/service/discovery/v3/discovery_pb.js";
import type { Delivered } from "./configuration.js";
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
  /** Names to send when the proxy has answered the last response; at first all that it asked for. */
  pending: "all" | Set<string>;
  /** The nonce that is not answered yet. One response a type is under way at most: a slow proxy costs no memory. */
  outstanding: string | undefined;
  /** What the response that is not answered yet holds, to name it if it is rejected. */
  sent: readonly (readonly EncodedResource[])[];
  /** What the response that is not answered yet takes away. */
  sentRemoved: readonly string[];
  /** Names that the proxy has rejected and not taken since. */
  readonly rejected: Set<string>;
  /** A response is owed even if nothing is to be sent: the proxy waits for the first one. */
  isOwed: boolean;
}

interface Gathered {
  readonly found: readonly (readonly EncodedResource[])[];
  readonly gone: readonly string[];
}

export interface DeltaStreamOptions {
  readonly layers: readonly ResourceView[];
  readonly encoder: ResponseEncoder;
  /** Whether the proxy reads compressed messages. */
  readonly mayDeflate: boolean;
  /** `milliseconds` were spent on putting the message together. */
  readonly write: (message: ResponseMessage, type: TypeUrl, milliseconds: number) => void;
  readonly acked: (type: TypeUrl) => void;
  readonly nacked: (type: TypeUrl, names: readonly string[], message: string) => void;
  readonly delivered?: Delivered | undefined;
}

export interface DeltaStream {
  readonly receive: (request: DeltaDiscoveryRequest) => void;
  /** Notes what changed; `flush` sends it. */
  readonly mark: (touched: Touched) => void;
  readonly flush: () => void;
  /** Whether the proxy holds, acknowledged, everything that it asked for. */
  readonly isInSync: () => boolean;
}

/** From this many on, walking the layers is cheaper than sorting. */
const manyNames = 64;

type Held = DeltaDiscoveryRequest["initialResourceVersions"];

const isPending = ({ pending }: Subscription): boolean => pending === "all" || pending.size > 0;

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
   * The pending resources by layer, and the names that no layer has. In an order that does not depend on the proxy,
   * which asks in any: so that all who ask for the same are sent the same bytes.
   */
  const gather = (type: TypeUrl, { pending, isWildcard, names }: Subscription): Gathered => {
    const named: NameSet = pending === "all" ? names : pending;
    const isEverything = pending === "all" && isWildcard;
    const sorted = !isEverything && named.size < manyNames ? [...named].sort() : undefined;
    let count = 0;
    const before: ResourceView[] = [];
    const found = options.layers.map((layer) => {
      const resources: EncodedResource[] = [];
      for (const name of sorted ?? layer.names(type)) {
        if (!isEverything && sorted === undefined && !named.has(name)) continue;
        const resource = layer.get(type, name);
        if (resource === undefined || before.some((first) => first.get(type, name) !== undefined)) continue;
        resources.push(resource);
      }
      if (resources.length > 0) before.push(layer);
      count += resources.length;
      return resources;
    });
    const isComplete = !isEverything && count === named.size;
    return { found, gone: isComplete ? [] : [...named].filter((name) => lookUp(type, name) === undefined).sort() };
  };

  const mustWait = (type: TypeUrl): boolean => {
    if (type !== typeUrls.cluster && type !== typeUrls.endpoint) return false;
    // A proxy that has rejected a listener or routes goes on with those before, and with the clusters that they name.
    return [typeUrls.listener, typeUrls.route].some((later) => {
      const subscription = subscriptions.get(later);
      if (subscription === undefined) return false;
      return subscription.outstanding !== undefined || subscription.rejected.size > 0 || isPending(subscription);
    });
  };

  const send = (type: TypeUrl, subscription: Subscription): void => {
    if (subscription.outstanding !== undefined) return;
    if (!isPending(subscription) && !subscription.isOwed) return;
    const began = performance.now();
    const { found, gone } = gather(type, subscription);
    const removed = gone.length > 0 && mustWait(type) ? [] : gone;
    const isEmpty = found.every(({ length }) => length === 0);
    if (isEmpty && removed.length === 0 && !subscription.isOwed) return;
    if (subscription.pending !== "all" && removed.length === gone.length) subscription.pending.clear();
    else subscription.pending = new Set(removed.length === 0 ? gone : []);
    subscription.isOwed = false;
    const message = options.encoder.message(type, found, removed, options.mayDeflate);
    subscription.outstanding = message.nonce;
    subscription.sent = found;
    subscription.sentRemoved = removed;
    options.write(message, type, performance.now() - began);
    if (!isEmpty) options.delivered?.(type, found, "sent");
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
    if (subscription === undefined || subscription.pending === "all") return;
    for (const name of names)
      if (subscription.isWildcard || subscription.names.has(name)) subscription.pending.add(name);
  };

  const begin = (type: TypeUrl, request: DeltaDiscoveryRequest): Subscription => {
    const named = request.resourceNamesSubscribe;
    const isWildcard = wildcardTypes.has(type) && (named.length === 0 || named.includes("*"));
    const subscription: Subscription = {
      isWildcard,
      names: noNames,
      pending: "all",
      outstanding: undefined,
      sent: [],
      sentRemoved: [],
      rejected: new Set(),
      isOwed: true,
    };
    subscriptions.set(type, subscription);
    return subscription;
  };

  /** All that is pending but what the proxy says to hold already, and with what it holds and nobody has. */
  const withoutHeld = (type: TypeUrl, { isWildcard, names }: Subscription, held: Held): Set<string> => {
    const pending = new Set(names);
    if (isWildcard) for (const layer of options.layers) for (const name of layer.names(type)) pending.add(name);
    const kept: EncodedResource[] = [];
    for (const [name, version] of Object.entries(held)) {
      const resource = lookUp(type, name);
      if (resource?.version === version) {
        pending.delete(name);
        kept.push(resource);
      } else pending.add(name);
    }
    if (kept.length > 0) options.delivered?.(type, [kept], "held");
    return pending;
  };

  const subscribe = (type: TypeUrl, request: DeltaDiscoveryRequest): void => {
    const known = subscriptions.get(type);
    const subscription = known ?? begin(type, request);
    const { resourceNamesUnsubscribe: unsubscribed, initialResourceVersions: held } = request;
    const named = request.resourceNamesSubscribe.filter((name) => name !== "*");
    subscription.names = changeNames(subscription.names, named, unsubscribed);
    if (subscription.pending !== "all") {
      for (const name of named) subscription.pending.add(name);
      if (!subscription.isWildcard) for (const name of unsubscribed) subscription.pending.delete(name);
    } else if (known === undefined && Object.keys(held).length > 0)
      subscription.pending = withoutHeld(type, subscription, held);
  };

  const answer = (type: TypeUrl, subscription: Subscription, request: DeltaDiscoveryRequest): void => {
    if (request.responseNonce !== subscription.outstanding) return;
    subscription.outstanding = undefined;
    const { sent, sentRemoved, rejected } = subscription;
    subscription.sent = [];
    subscription.sentRemoved = [];
    for (const name of sentRemoved) rejected.delete(name);
    if (request.errorDetail === undefined) {
      if (rejected.size > 0) for (const resources of sent) for (const { name } of resources) rejected.delete(name);
      options.acked(type);
      options.delivered?.(type, sent, "held");
      return;
    }
    const names = sent.flatMap((resources) => resources.map(({ name }) => name));
    for (const name of names) rejected.add(name);
    options.nacked(type, names, request.errorDetail.message);
    options.delivered?.(type, sent, "rejected");
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
    isInSync: () => {
      for (const { pending, outstanding, isOwed, rejected } of subscriptions.values())
        if (pending === "all" || pending.size > 0 || outstanding !== undefined || isOwed || rejected.size > 0)
          return false;
      return subscriptions.size > 0;
    },
  };
};
