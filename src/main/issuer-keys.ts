import { parseDuration } from "../api/duration.js";
import type { ObjectEvent } from "../api/kubernetes.js";
import type { KeySet } from "../api/security/key-set.js";
import { longestTimeoutMilliseconds } from "../api/security/request-authentication-check.js";
import { keySourceOf, type RemoteKeySource } from "../api/security/request-authentication-schema.js";
import type { Compiler } from "../compile/compiler.js";
import { fetchKeys } from "../keys/fetch-keys.js";
import { createKeyKeeper, type KeyCounts, type WantedKeys } from "../keys/keeper.js";
import type { Snapshot } from "../model/snapshot.js";

export interface IssuerKeySettings {
  readonly refreshMilliseconds: number;
  readonly retryMilliseconds?: number;
  /** PEM of authorities that are believed besides the system's. */
  readonly authoritiesPem?: string | undefined;
}

export const defaultIssuerKeys: IssuerKeySettings = { refreshMilliseconds: 20 * 60_000 };

export interface IssuerKeysOptions extends IssuerKeySettings {
  readonly compiler: Pick<Compiler, "snapshot" | "onApplied" | "apply">;
  readonly fetched?: (outcome: "fetched" | "failed", counts: KeyCounts) => void;
  readonly failed: (source: RemoteKeySource, message: string, detail: string) => void;
}

const defaultTimeout = "5s";
/** A control plane that starts does not wait longer for issuers that do not answer. */
const patienceMilliseconds = 10_000;

/** Of rules that share a source, the one that waits longest says how long. */
const wantedIn = ({ requestAuthentications }: Snapshot): ReadonlyMap<string, WantedKeys> => {
  const wanted = new Map<string, WantedKeys>();
  for (const { spec } of [...requestAuthentications.values()].flat())
    for (const rule of spec.jwtRules ?? []) {
      const source = keySourceOf(rule);
      if (source.from === "inline") continue;
      const own = Math.min(parseDuration(rule.timeout ?? defaultTimeout) ?? 0, longestTimeoutMilliseconds);
      const timeoutMilliseconds = Math.max(own, wanted.get(source.id)?.timeoutMilliseconds ?? 1);
      wanted.set(source.id, { source, timeoutMilliseconds });
    }
  return wanted;
};

/** Fetches the keys that the policies in force name, and gives them to the model. */
export const keepIssuerKeys = (
  options: IssuerKeysOptions,
): { readonly tried: () => Promise<void>; readonly stop: () => void } => {
  const { compiler, authoritiesPem, fetched, failed, refreshMilliseconds, retryMilliseconds } = options;
  const changes = new Map<string, KeySet | undefined>();
  let flushing: NodeJS.Immediate | undefined;
  const flush = (): void => {
    flushing = undefined;
    const events = [...changes].map(([name, object]): ObjectEvent => ({ kind: "KeySet", namespace: "", name, object }));
    changes.clear();
    compiler.apply(events);
  };
  const keeper = createKeyKeeper({
    fetch: ({ source, timeoutMilliseconds }, etag, signal) =>
      fetchKeys(source, etag, { timeoutMilliseconds, authoritiesPem, signal }),
    changed: (id, keys) => {
      changes.set(id, keys);
      // Not at once: it may be a batch under way that has made it so.
      flushing ??= setImmediate(flush);
    },
    refreshMilliseconds,
    ...(retryMilliseconds === undefined ? {} : { retryMilliseconds }),
    ...(fetched === undefined ? {} : { fetched }),
    failed,
  });
  let policies: Snapshot["requestAuthentications"] | undefined;
  const look = (): void => {
    const snapshot = compiler.snapshot();
    if (snapshot.requestAuthentications === policies) return;
    policies = snapshot.requestAuthentications;
    keeper.follow(wantedIn(snapshot));
  };
  const stopListening = compiler.onApplied(look);
  look();
  return {
    tried: async () => {
      const timer = Promise.withResolvers<void>();
      const patience = setTimeout(timer.resolve, patienceMilliseconds);
      await Promise.race([keeper.tried(), timer.promise]);
      clearTimeout(patience);
      if (flushing !== undefined) {
        clearImmediate(flushing);
        flush();
      }
    },
    stop: () => {
      stopListening();
      keeper.stop();
      clearImmediate(flushing);
    },
  };
};
