import { type ApiClient, ApiError } from "../../watch/api-client.js";
import type { WatchedObject } from "../../watch/list-watch.js";
import { watchNamed } from "../../watch/named.js";
import type { AuthorityStatus, ReplicaReport } from "./state.js";

/** Where the authority's state is shown and its rotation is asked for; nothing in it is secret. */
export const recordName = "heddle-ca";
/** Its value names a request; another value is another request. */
export const rotateAnnotation = "heddle.io/rotate-root";
/** SHA-256 of a root that is to be trusted no more, though its time is not over. */
export const distrustAnnotation = "heddle.io/distrust-root";
export const statusKey = "status.json";
const replicaKey = /^replica-(.+)\.json$/;

interface ConfigMap extends WatchedObject {
  readonly metadata?: WatchedObject["metadata"] & { readonly annotations?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
}

export interface AuthorityRecord {
  /** The rotation that was asked for last. */
  readonly request: () => string | undefined;
  /** SHA-256 of the root that was last asked to be dropped. */
  readonly unwanted: () => string | undefined;
  /** Takes what was asked for by this value away: it has been done, or will not be. */
  readonly answered: (value: string) => void;
  /** By the name of the replica's pod. */
  readonly reports: () => ReadonlyMap<string, ReplicaReport>;
  /**
   * What this replica has to say, to be written soon; the status from the one replica that drives, which also takes out the
   * reports of replicas that are gone.
   */
  readonly put: (report: ReplicaReport, status: AuthorityStatus | undefined) => void;
  readonly stop: () => Promise<void>;
}

export interface AuthorityRecordOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly instance: string;
  readonly replicas: () => readonly string[];
  readonly failed: (error: Error) => void;
}

/** Between two looks at what is to be written. */
const turnMilliseconds = 500;
/** How long a mere number of proxies may wait: they come and go, and a write goes to every replica. */
const patienceMilliseconds = 10_000;

/** What a text holds that some replica has written; nothing if it is not JSON. */
const parsed = <Value>(text: string | undefined): Value | undefined => {
  try {
    return text === undefined ? undefined : (JSON.parse(text) as Value);
  } catch {
    return undefined;
  }
};

const isReport = (value: Partial<ReplicaReport> | undefined | null): value is ReplicaReport =>
  Array.isArray(value?.roots) &&
  Array.isArray(value.behind) &&
  typeof value.proxies === "number" &&
  typeof value.trusting === "number" &&
  typeof value.byRoot === "object" &&
  value.byRoot !== null;

/** By the name of the replica's pod. */
export const reportsOf = (data: Readonly<Record<string, string>>): ReadonlyMap<string, ReplicaReport> =>
  new Map(
    Object.entries(data).flatMap(([key, text]) => {
      const name = replicaKey.exec(key)?.[1];
      const report = parsed<ReplicaReport>(text);
      return name === undefined || !isReport(report) ? [] : [[name, report] as const];
    }),
  );

/** Follows the ConfigMap `heddle-ca` and keeps in it what this replica has to say, each replica under a key of its own. */
export const keepAuthorityRecord = (options: AuthorityRecordOptions): AuthorityRecord => {
  const { client, namespace, instance } = options;
  const collection = `/api/v1/namespaces/${namespace}/configmaps`;
  let data: Readonly<Record<string, string>> = {};
  let annotations: Readonly<Record<string, string>> = {};
  let isSynced = false;
  let exists = false;
  let reports: ReadonlyMap<string, ReplicaReport> = new Map();
  const ownKey = `replica-${instance}.json`;
  let own: { readonly text: string; readonly isUrgent: boolean } | undefined;
  let status: string | undefined;
  const answered = new Set<string>();
  let writtenAt = Number.NEGATIVE_INFINITY;

  const watch = watchNamed<ConfigMap>({
    client,
    path: collection,
    name: recordName,
    changed: (object) => {
      isSynced = true;
      exists = object !== undefined;
      data = object?.data ?? {};
      annotations = object?.metadata?.annotations ?? {};
      reports = reportsOf(data);
    },
    failed: options.failed,
  });

  const changes = (): Readonly<Record<string, string | null>> => {
    const live = new Set([instance, ...options.replicas()]);
    const gone = status === undefined ? [] : [...reports.keys()].filter((name) => !live.has(name));
    const isDue = own !== undefined && (own.isUrgent || performance.now() - writtenAt > patienceMilliseconds);
    return {
      ...Object.fromEntries(gone.map((name) => [`replica-${name}.json`, null])),
      ...(isDue && data[ownKey] !== own?.text ? { [ownKey]: own!.text } : {}),
      ...(status !== undefined && data[statusKey] !== status ? { [statusKey]: status } : {}),
    };
  };

  /** Annotations that ask for what has been answered. */
  const clearances = (): Readonly<Record<string, null>> =>
    Object.fromEntries(
      [rotateAnnotation, distrustAnnotation]
        .filter((name) => answered.has(annotations[name] ?? ""))
        .map((name) => [name, null]),
    );

  const write = async (): Promise<void> => {
    if (!isSynced) return;
    const patch = changes();
    const cleared = clearances();
    if (Object.keys(patch).length === 0 && Object.keys(cleared).length === 0) return;
    writtenAt = performance.now();
    const metadata = { name: recordName, namespace, labels: { "app.kubernetes.io/part-of": "heddle" } };
    const body = exists
      ? { metadata: { annotations: cleared }, data: patch }
      : { apiVersion: "v1", kind: "ConfigMap", metadata, data: patch };
    try {
      if (exists)
        await client.call(`${collection}/${recordName}`, {
          method: "PATCH",
          contentType: "application/merge-patch+json",
          body,
        });
      else await client.call(collection, { method: "POST", body });
    } catch (error) {
      // Another replica was quicker, or someone has taken it away: the watch says so.
      if (!(error instanceof ApiError && (error.status === 409 || error.status === 404))) throw error;
    }
  };

  let running: Promise<void> = Promise.resolve();
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  const turn = (): void => {
    running = write()
      .catch((error: Error) => options.failed(new Error(`cannot keep ConfigMap ${recordName}: ${error.message}`)))
      .then(() => {
        if (!isStopped) timer = setTimeout(turn, turnMilliseconds).unref();
      });
  };
  turn();

  return {
    request: () => annotations[rotateAnnotation],
    unwanted: () => annotations[distrustAnnotation],
    reports: () => reports,
    answered: (value) => void answered.add(value),
    put: (report, next) => {
      const text = JSON.stringify(report);
      const before = reports.get(instance);
      const isUrgent =
        before === undefined ||
        report.roots.length > 1 ||
        before.roots.join() !== report.roots.join() ||
        before.written !== report.written;
      own = { text, isUrgent };
      status = next === undefined ? undefined : JSON.stringify(next);
    },
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await Promise.all([watch.stop(), running]);
    },
  };
};
