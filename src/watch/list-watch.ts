import { setTimeout as delay } from "node:timers/promises";
import { type ApiClient, ApiError } from "./api-client.js";

/** What every Kubernetes object has, as far as watching needs it. */
export interface WatchedObject {
  readonly metadata?: {
    readonly name?: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
  };
}

export interface ListWatchOptions {
  readonly client: ApiClient;
  /** Collection path such as /api/v1/pods. */
  readonly path: string;
  readonly fieldSelector?: string;
  readonly pageSize?: number;
  /**
   * The object as the API server has it, or nothing when it is gone; `synced` follows the first whole list. A collection
   * that does not exist counts as empty until it does: its CustomResourceDefinition may be installed later.
   */
  readonly changed: (namespace: string, name: string, object: WatchedObject | undefined) => void;
  readonly synced: () => void;
  /** Told of each failure; the watch goes on by itself. */
  readonly failed: (error: Error) => void;
}

interface List {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly WatchedObject[];
}

interface WatchEvent {
  readonly type: string;
  readonly object: WatchedObject & { readonly code?: number; readonly message?: string };
}

const keyOf = ({ metadata }: WatchedObject): string => `${metadata?.namespace ?? ""}/${metadata?.name ?? ""}`;

const isGone = (error: unknown): boolean => error instanceof ApiError && error.status === 410;
const isAbsent = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

const backoffMilliseconds = (failures: number): number =>
  Math.min(250 * 2 ** Math.min(failures, 7), 30_000) * (0.5 + Math.random() / 2);

/**
 * Follows a collection until stopped: a paged list, then watches that resume where the last one ended; a new list only
 * when the server has forgotten that place, and then objects that are missing from it are reported gone.
 */
export const listWatch = (options: ListWatchOptions): { readonly stop: () => Promise<void> } => {
  const { client, path, pageSize = 500 } = options;
  const abort = new AbortController();
  /** resourceVersion by namespace/name: what the consumer has been told. */
  const known = new Map<string, string>();

  const query = (parameters: Readonly<Record<string, string | undefined>>): string => {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries({ fieldSelector: options.fieldSelector, ...parameters }))
      if (value !== undefined && value !== "") search.set(name, value);
    return `${path}?${search}`;
  };

  const tell = (object: WatchedObject): void => {
    const key = keyOf(object);
    const version = object.metadata?.resourceVersion ?? "";
    if (known.get(key) === version) return;
    known.set(key, version);
    options.changed(object.metadata?.namespace ?? "", object.metadata?.name ?? "", object);
  };

  const tellGone = (key: string): void => {
    if (!known.delete(key)) return;
    const slash = key.indexOf("/");
    options.changed(key.slice(0, slash), key.slice(slash + 1), undefined);
  };

  const list = async (): Promise<string> => {
    const seen = new Set<string>();
    let next: string | undefined;
    let version: string | undefined;
    do {
      const page = (await client.call(query({ limit: String(pageSize), continue: next }), {
        signal: abort.signal,
      })) as List;
      for (const object of page.items ?? []) {
        seen.add(keyOf(object));
        tell(object);
      }
      version = page.metadata?.resourceVersion;
      next = page.metadata?.continue;
    } while (next);
    for (const key of [...known.keys()]) if (!seen.has(key)) tellGone(key);
    if (version === undefined) throw new Error(`${path}: the list has no resourceVersion`);
    return version;
  };

  const take = (event: WatchEvent, last: string): string => {
    if (event.type === "ERROR") throw new ApiError(event.object.code ?? 500, event.object.message ?? "watch failed");
    if (event.type === "DELETED") tellGone(keyOf(event.object));
    else if (event.type === "ADDED" || event.type === "MODIFIED") tell(event.object);
    return event.object.metadata?.resourceVersion ?? last;
  };

  const follow = async (): Promise<void> => {
    let failures = 0;
    let version: string | undefined;
    let complete = false;
    let absent = false;
    const whole = (): void => {
      if (complete) return;
      complete = true;
      options.synced();
    };
    while (!abort.signal.aborted) {
      try {
        if (version === undefined) {
          version = await list();
          if (absent) failures = 0;
          absent = false;
          whole();
        }
        const started = Date.now();
        const parameters = {
          watch: "true",
          allowWatchBookmarks: "true",
          resourceVersion: version,
          timeoutSeconds: String(240 + Math.floor(Math.random() * 120)),
        };
        await client.lines(
          query(parameters),
          (line) => {
            version = take(JSON.parse(line) as WatchEvent, version!);
            failures = 0;
          },
          abort.signal,
        );
        // A server that ends watches at once must not be asked in a tight loop.
        failures = Date.now() - started > 1000 ? 0 : failures + 1;
      } catch (error) {
        if (abort.signal.aborted) return;
        failures += 1;
        if (isGone(error)) version = undefined;
        else if (isAbsent(error)) {
          version = undefined;
          for (const key of [...known.keys()]) tellGone(key);
          whole();
          if (!absent) options.failed(error as Error);
          absent = true;
        } else options.failed(error as Error);
      }
      if (failures > 0) await delay(backoffMilliseconds(failures), undefined, { signal: abort.signal });
    }
  };
  const done = follow().catch(() => undefined);

  return {
    stop: async () => {
      abort.abort();
      await done;
    },
  };
};
