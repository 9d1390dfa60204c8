import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { build } from "esbuild";
import { run } from "./processes.ts";
import { paths, top } from "./settings.ts";

/** What goes into an image: paths inside it, each with its source on this machine or its text. */
export interface ImageContent {
  readonly name: string;
  readonly files: Readonly<Record<string, { readonly from: string } | { readonly text: string }>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly entrypoint: readonly string[];
  readonly user?: string;
}

const storage = join(paths.images, "storage");
const buildahEnvironment = { BUILDAH_ISOLATION: "chroot", STORAGE_DRIVER: "vfs" } as const;
const buildah = (...commandArguments: readonly string[]): Promise<string> =>
  run("buildah", ["--root", storage, "--runroot", join(paths.images, "run"), ...commandArguments], {
    env: buildahEnvironment,
  });

const digestOf = (content: ImageContent): string => {
  const hash = createHash("sha256").update(JSON.stringify(content));
  for (const file of Object.values(content.files)) if ("from" in file) hash.update(readFileSync(file.from));
  return hash.digest("hex").slice(0, 16);
};

/** Builds an image from nothing but the given files; returns its OCI archive, which is reused while they are the same. */
export const buildImage = async (content: ImageContent): Promise<string> => {
  mkdirSync(paths.images, { recursive: true });
  const archive = join(paths.images, `${basename(content.name.split(":")[0]!)}-${digestOf(content)}.tar`);
  if (existsSync(archive)) return archive;
  const folder = mkdtempSync(join(paths.images, "rootfs-"));
  try {
    for (const [path, file] of Object.entries(content.files)) {
      const target = join(folder, path);
      mkdirSync(dirname(target), { recursive: true });
      if ("from" in file) copyFileSync(file.from, target);
      else writeFileSync(target, file.text);
    }
    for (const [path, target] of Object.entries(content.links ?? {})) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      await run("ln", ["-s", target, join(folder, path)]);
    }
    const container = (await buildah("from", "scratch")).trim();
    await buildah("copy", "--quiet", container, folder, "/");
    await buildah(
      ...["config", "--entrypoint", JSON.stringify(content.entrypoint)],
      ...["--user", content.user ?? "1000:1000", container],
    );
    await buildah("commit", "--quiet", "--rm", container, `oci-archive:${archive}:docker.io/${content.name}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return archive;
};

/** The container that holds a pod's namespaces open. */
export const pauseImage = (): Promise<string> =>
  buildImage({
    name: "heddle/pause:1",
    files: { "/busybox": { from: "/bin/busybox" } },
    entrypoint: ["/busybox", "sleep", "2147483647"],
  });

/** Node.js and the shared libraries it names, by their paths on this machine. */
const nodeFiles = async (): Promise<ImageContent["files"]> => {
  const node = realpathSync(process.execPath);
  const listed = await run("ldd", [node]);
  const libraries = [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1]!);
  return {
    "/usr/bin/node": { from: node },
    ...Object.fromEntries(libraries.map((library) => [library, { from: realpathSync(library) }])),
  };
};

const bundle = async (source: string): Promise<string> => {
  const result = await build({
    entryPoints: [join(top, source)],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    write: false,
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  return result.outputFiles[0]!.text;
};

const sample = async (name: string, source: string, tools: ImageContent["files"] = {}): Promise<string> =>
  buildImage({
    name,
    files: { ...(await nodeFiles()), ...tools, "/app/main.mjs": { text: await bundle(source) } },
    entrypoint: ["/usr/bin/node", "/app/main.mjs"],
  });

/** The two sample images as OCI archives: heddle/echo:dev and heddle/client:dev. */
export const sampleImages = async (): Promise<readonly string[]> => {
  const echo = await sample("heddle/echo:dev", "deploy/samples/echo/server.ts");
  const busybox = { "/bin/busybox": { from: "/bin/busybox" }, "/bin/sh": { from: "/bin/busybox" } };
  const client = await sample("heddle/client:dev", "deploy/samples/client/client.ts", busybox);
  return [echo, client];
};
