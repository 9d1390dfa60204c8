import type { ConfigurationKind } from "../../api/kinds.js";
import type { Compiler } from "../../compile/compiler.js";
import type { ResourceKey } from "./affected.js";
import { concerns } from "./concerns.js";
import type { Rejection } from "./conditions.js";
import type { ProxyTracker } from "./distribution.js";
import type { Nack } from "./nack.js";

export interface RejectionsOptions {
  readonly compiler: Compiler;
  readonly tracker: ProxyTracker;
  /** Resources with the version of the snapshot that brought them in their present form. */
  readonly resources: () => Iterable<{
    readonly kind: ConfigurationKind;
    readonly key: string;
    readonly version: number;
  }>;
  readonly quarantined?: (key: string, nack: Nack) => void;
  readonly now?: () => number;
}

export interface Rejections {
  /** The resources that are to blame; an EnvoyFilter that is goes into quarantine. */
  readonly nacked: (nack: Nack) => readonly ResourceKey[];
  /** Undefined once the proxies take what they are sent, or the resource has changed. */
  readonly of: (kind: ConfigurationKind, key: string) => Rejection | undefined;
  /** The resource has changed or is gone. */
  readonly forget: (kind: ConfigurationKind, key: string) => void;
}

interface Held {
  readonly proxies: Set<string>;
  readonly message: string;
}

/** Answers to what was sent before the quarantine may still be under way. */
const settlingMilliseconds = 5000;

/** Which resources a rejection by a proxy is about. */
export const createRejections = (options: RejectionsOptions): Rejections => {
  const { compiler, tracker, now = Date.now } = options;
  const held = new Map<string, Held>();
  const strikes = new Map<string, { readonly by: string; readonly at: number }>();
  const idOf = (kind: ConfigurationKind, key: string): string => `${kind}/${key}`;
  const hold = (kind: ConfigurationKind, key: string, proxy: string, message: string): ResourceKey => {
    const before = held.get(idOf(kind, key));
    held.set(idOf(kind, key), { proxies: new Set([...(before?.proxies ?? []), proxy]), message });
    return [kind, key];
  };

  const quarantine = (key: string, proxy: string, nack: Nack): ResourceKey => {
    const by = `${proxy} ${nack.type}`;
    const last = strikes.get(key);
    if (last === undefined || last.by === by || now() - last.at > settlingMilliseconds) {
      strikes.set(key, { by, at: now() });
      if (compiler.quarantine(key)) options.quarantined?.(key, nack);
    }
    return hold("EnvoyFilter", key, proxy, nack.message);
  };

  return {
    nacked: (nack) => {
      const { namespace, podName } = nack.proxy;
      const proxy = `${namespace}/${podName}`;
      const named = nack.names.filter((name) => nack.message.includes(name));
      const names = named.length > 0 ? named : nack.names;
      const filters = new Set(names.flatMap((name) => compiler.filtersOf(namespace, podName, nack.type, name)));
      const resources = [...options.resources()];
      const [newest] = resources
        .filter(({ kind, key }) => kind === "EnvoyFilter" && filters.has(key))
        .sort((a, b) => b.version - a.version);
      if (newest !== undefined) return [quarantine(newest.key, proxy, nack)];
      const before = tracker.heldBy(proxy);
      const pod = compiler.snapshot().pods.get(proxy);
      // A proxy that never held anything does not tell new from old.
      if (before < 0 || pod === undefined) return [];
      return resources
        .filter(
          ({ kind, key, version }) => version > before && concerns(compiler.snapshot(), kind, key)?.(pod) === true,
        )
        .map(({ kind, key }) => hold(kind, key, proxy, nack.message));
    },
    of: (kind, key) => {
      const rejection = held.get(idOf(kind, key));
      if (rejection === undefined) return undefined;
      const { message } = rejection;
      const proxies = [...rejection.proxies];
      if (kind === "EnvoyFilter" && compiler.quarantined().includes(key))
        return {
          proxies,
          message,
          instead: "the filter is left out, or its version before this one applied, until it is edited",
        };
      if (proxies.some((proxy) => tracker.isInSync(proxy) === false))
        return { proxies, message, instead: "they keep their last good configuration" };
      held.delete(idOf(kind, key));
      return undefined;
    },
    forget: (kind, key) => {
      held.delete(idOf(kind, key));
      if (kind === "EnvoyFilter") strikes.delete(key);
    },
  };
};
