import { type FSWatcher, watch } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { ObjectEvent, ObjectSource } from "../api/kubernetes.js";
import { createBatcher } from "./batch.js";
import { readDocuments } from "./documents.js";

export interface WatchDirectoryOptions {
  /** Told of a file that cannot be read; what it said before stays in force. */
  readonly failed?: (error: Error) => void;
  /** Between looks at the directory, for file systems that tell of no change. */
  readonly rescanMilliseconds?: number;
}

interface ReadFile {
  readonly text: string;
  readonly objects: readonly ObjectEvent[];
}

const keyOf = ({ kind, namespace, name }: ObjectEvent): string => `${kind}/${namespace}/${name}`;

/** Every Kubernetes object of the directory's *.yaml, *.yml and *.json, subdirectories included, kept up to date. */
export const watchDirectory = (path: string, options: WatchDirectoryOptions = {}): ObjectSource => {
  const batcher = createBatcher();
  const synced = Promise.withResolvers<void>();
  let files: ReadonlyMap<string, ReadFile> = new Map();
  let known: ReadonlyMap<string, ObjectEvent> = new Map();
  let reported = "";
  let stopped = false;
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;

  const readOne = async (file: string, faults: string[]): Promise<ReadFile | undefined> => {
    const before = files.get(file);
    try {
      const text = await readFile(join(path, file), "utf8");
      if (text === before?.text) return before;
      return { text, objects: readDocuments(text, file) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      faults.push((error as Error).message);
      return before;
    }
  };

  const merge = (faults: string[]): ReadonlyMap<string, ObjectEvent> => {
    const objects = new Map<string, ObjectEvent>();
    const homes = new Map<string, string>();
    for (const [file, { objects: own }] of files)
      for (const event of own) {
        const key = keyOf(event);
        const home = homes.get(key);
        if (home !== undefined)
          faults.push(`${file}: ${event.kind} ${event.namespace}/${event.name} is in ${home} too; remove one of them`);
        else {
          objects.set(key, event);
          homes.set(key, file);
        }
      }
    return objects;
  };

  const scan = async (): Promise<void> => {
    const faults: string[] = [];
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const names = entries
      .filter((entry) => !entry.isDirectory() && /\.(ya?ml|json)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(path.length).replace(/^\/+/, ""))
      .sort();
    const next = new Map<string, ReadFile>();
    for (const name of names) {
      const file = await readOne(name, faults);
      if (file !== undefined) next.set(name, file);
    }
    files = next;
    const objects = merge(faults);
    for (const [key, event] of objects)
      if (!isDeepStrictEqual(known.get(key)?.object, event.object)) batcher.add(event);
    for (const [key, event] of known) if (!objects.has(key)) batcher.add({ ...event, object: undefined });
    known = objects;
    const report = faults.join("\n");
    if (report !== reported) for (const fault of faults) options.failed?.(new Error(fault));
    reported = report;
  };

  let scanning: Promise<void> = Promise.resolve();
  const rescan = (): Promise<void> => {
    scanning = scanning.then(async () => {
      if (!stopped) await scan().catch((error: Error) => options.failed?.(error));
    });
    return scanning;
  };

  void rescan().then(() => {
    batcher.flush();
    synced.resolve();
    if (stopped) return;
    let soon: NodeJS.Timeout | undefined;
    try {
      watcher = watch(path, { recursive: true }, () => {
        clearTimeout(soon);
        soon = setTimeout(() => void rescan(), 20);
      });
      // A watcher that fails leaves the regular look.
      watcher.on("error", (error) => options.failed?.(error));
    } catch (error) {
      options.failed?.(error as Error);
    }
    timer = setInterval(() => void rescan(), options.rescanMilliseconds ?? 5000);
    timer.unref();
  });

  return {
    subscribe: batcher.subscribe,
    synced: synced.promise,
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      watcher?.close();
      await scanning;
      batcher.stop();
    },
  };
};
