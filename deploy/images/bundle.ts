import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";
import { type BuildOptions, build } from "esbuild";

/**
 * Bundles one program into one file: `bundle.ts heddle|heddled|echo [--out file]`. The output depends on nothing but the
 * sources, so that images made from it are the same each time.
 */
const programs: Readonly<Record<string, { readonly entry: string; readonly out: string; readonly shebang: boolean }>> =
  {
    heddle: { entry: "src/cli/main.ts", out: "dist/heddle.js", shebang: true },
    heddled: { entry: "src/main/heddled.ts", out: "dist/heddled.mjs", shebang: false },
    echo: { entry: "deploy/samples/echo/server.ts", out: "dist/echo.mjs", shebang: false },
  };

const top = new URL("../../", import.meta.url).pathname;
const { positionals, values } = parseArgs({ allowPositionals: true, options: { out: { type: "string" } } });
const program = programs[positionals[0] ?? ""];
if (program === undefined) throw new Error(`give the program to bundle: ${Object.keys(programs).join(" or ")}`);

const { version } = JSON.parse(readFileSync(`${top}package.json`, "utf8")) as { readonly version: string };
const requireShim = 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

const options: BuildOptions = {
  absWorkingDir: top,
  entryPoints: [program.entry],
  outfile: values.out ?? program.out,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node24",
  legalComments: "eof",
  minifySyntax: true,
  minifyWhitespace: true,
  define: {
    HEDDLE_VERSION: JSON.stringify(version),
    HEDDLE_DESCRIPTORS: JSON.stringify(
      gzipSync(readFileSync(`${top}src/proto/envoy.binpb`), { level: 9 }).toString("base64"),
    ),
    HEDDLE_TEMPLATE: JSON.stringify(readFileSync(`${top}templates/sidecar.yaml`, "utf8")),
  },
  // Programs that are bundled do not spawn TypeScript: what only the sources' loader needs stays outside.
  external: ["tsx", "esbuild"],
  banner: { js: `${program.shebang ? "#!/usr/bin/env node\n" : ""}${requireShim}` },
  logLevel: "warning",
};
await build(options);
