import { definitionOf } from "../../api/kinds.js";
import type { ApiClient } from "../../watch/api-client.js";
import { ApiError } from "../../watch/api-client.js";
import type { ResourceStatus } from "./reporter.js";

export interface StatusWriterOptions {
  readonly client: ApiClient;
  /** Asked before each write: one replica writes. */
  readonly mayWrite: () => boolean;
  readonly written: (status: ResourceStatus) => void;
  readonly failed: (error: Error) => void;
  readonly perSecond?: number;
}

export interface StatusWriter {
  /** Takes the place of what waits for the same resource. */
  readonly put: (status: ResourceStatus) => void;
  readonly stop: () => Promise<void>;
}

const longestPauseMilliseconds = 60_000;

/**
 * Server-side apply, so that no other writer's conditions are touched and nothing must be read first: the list of
 * conditions is a map by type. The uid refuses a resource that was made anew meanwhile.
 */
const write = (client: ApiClient, { kind, namespace, name, uid, conditions }: ResourceStatus): Promise<unknown> => {
  const { group, versions, plural } = definitionOf(kind);
  const metadata = { name, namespace, ...(uid === undefined ? {} : { uid }) };
  const path = `/apis/${group}/${versions[0]}/namespaces/${namespace}/${plural}/${name}/status`;
  return client.call(`${path}?fieldManager=heddle&force=true`, {
    method: "PATCH",
    contentType: "application/apply-patch+yaml",
    body: { apiVersion: `${group}/${versions[0]}`, kind, metadata, status: { conditions } },
  });
};

/** The resource is gone, or another one has its name: the watch will tell. */
const isOver = (error: unknown): boolean => error instanceof ApiError && (error.status === 404 || error.status === 409);

/** Writes at a limited rate, one at a time, what came last for each resource. */
export const createStatusWriter = (options: StatusWriterOptions): StatusWriter => {
  const pauseMilliseconds = 1000 / (options.perSecond ?? 20);
  const queue = new Map<string, ResourceStatus>();
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let isStopped = false;
  const idOf = ({ kind, namespace, name }: ResourceStatus): string => `${kind}/${namespace}/${name}`;

  const writeOne = async (id: string, status: ResourceStatus): Promise<void> => {
    try {
      await write(options.client, status);
      failures = 0;
      options.written(status);
    } catch (error) {
      if (isOver(error)) return;
      failures += 1;
      if (!queue.has(id)) queue.set(id, status);
      options.failed(new Error(`cannot write the status of ${id}: ${(error as Error).message}`));
    }
  };

  const next = (): void => {
    timer = undefined;
    // Another replica is to write; it looks at everything when its turn comes.
    if (!options.mayWrite()) queue.clear();
    const [entry] = queue;
    if (entry === undefined) return;
    const [id, status] = entry;
    queue.delete(id);
    running = writeOne(id, status).finally(() => {
      running = undefined;
      schedule(failures === 0 ? pauseMilliseconds : Math.min(250 * 2 ** failures, longestPauseMilliseconds));
    });
  };

  const schedule = (milliseconds: number): void => {
    if (timer !== undefined || running !== undefined || queue.size === 0 || isStopped) return;
    timer = setTimeout(next, milliseconds).unref();
  };

  return {
    put: (status) => {
      if (isStopped || !options.mayWrite()) return;
      queue.set(idOf(status), status);
      schedule(0);
    },
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      queue.clear();
      await running;
    },
  };
};
