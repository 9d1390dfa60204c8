import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type ReadDocuments, readDocumentsOf } from "./documents.js";

const isManifest = (name: string): boolean => /\.(ya?ml|json)$/.test(name);

const filesOf = async (path: string): Promise<readonly string[]> => {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new Error(
      `${path}: cannot be read: ${error.code ?? error.message}; name a file, a directory, or - for standard input`,
    );
  });
  if (!found.isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && isManifest(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
};

const readInput = async (): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
};

export interface ReadFiles extends ReadDocuments {
  readonly files: number;
}

/** Files, directories with all below them, and `-`. Rejects with an Error for what cannot be read at all. */
export const readFiles = async (paths: readonly string[], namespace: string): Promise<ReadFiles> => {
  const names = [...new Set((await Promise.all(paths.map((path) => (path === "-" ? ["-"] : filesOf(path))))).flat())];
  const read: ReadDocuments[] = [];
  for (const name of names) {
    const text = name === "-" ? await readInput() : await readFile(name, "utf8");
    read.push(readDocumentsOf(text, name === "-" ? "standard input" : name, namespace));
  }
  return {
    files: names.length,
    objects: read.flatMap(({ objects }) => objects),
    unreadable: read.flatMap(({ unreadable }) => unreadable),
  };
};
