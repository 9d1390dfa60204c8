import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";

/** The images as buildah makes them: the same each time, without a shell, and whole enough to run. */
const execute = promisify(execFile);
const top = new URL("../../", import.meta.url).pathname;
const images = join(top, ".cache/images");

const digests = async (): Promise<ReadonlyMap<string, string>> => {
  const { stdout } = await execute(join(top, "deploy/images/build.sh"), ["buildah"], { cwd: top });
  return new Map([...stdout.matchAll(/^(\S+) (sha256:[0-9a-f]{64}) /gm)].map((match) => [match[1]!, match[2]!]));
};

interface Description {
  readonly config: { readonly User: string; readonly Entrypoint: readonly string[] };
}

const descriptionOf = async (image: string): Promise<Description> => {
  const blob = async (digest: string): Promise<unknown> => {
    const path = `blobs/${digest.replace(":", "/")}`;
    return JSON.parse((await execute("tar", ["-xOf", join(images, `${image}.tar`), path])).stdout) as unknown;
  };
  const { stdout } = await execute("tar", ["-xOf", join(images, `${image}.tar`), "index.json"]);
  const index = JSON.parse(stdout) as { readonly manifests: readonly { readonly digest: string }[] };
  const manifest = (await blob(index.manifests[0]!.digest)) as { readonly config: { readonly digest: string } };
  return (await blob(manifest.config.digest)) as Description;
};

test("building twice gives the same digests", async () => {
  const first = await digests();
  assert.equal(
    [...first.keys()].map((name) => name.split(":")[0]),
    ["heddle/proxyv2", "heddle/heddled"],
  );
  assert.equal(await digests(), first);
});

for (const [image, user] of [
  ["proxyv2", "1337:1337"],
  ["heddled", "65532:65532"],
] as const) {
  test(`${image} has no shell and is not root`, async () => {
    const root = join(images, `${image}.root`);
    assert.is((await descriptionOf(image)).config.User, user);
    const programs = ["bin", "usr/bin", "usr/sbin", "usr/local/bin"]
      .map((folder) => join(root, folder))
      .filter(existsSync)
      .flatMap((folder) => readdirSync(folder));
    assert.equal(programs.sort(), image === "proxyv2" ? ["envoy", "ip", "nft"] : ["node"]);
  });
}

test("every program starts with nothing but its image", async () => {
  if (process.getuid?.() !== 0) return console.error("# not tried: chroot needs root");
  const within = async (image: string, ...command: readonly string[]): Promise<string> =>
    (await execute("chroot", ["--userspec=1337:1337", join(images, `${image}.root`), ...command])).stdout;
  assert.match(await within("proxyv2", "/usr/local/bin/envoy", "--version"), "/1.40.0/");
  assert.match(await within("proxyv2", "/usr/sbin/nft", "--version"), "nftables");
  assert.match(await within("proxyv2", "/usr/sbin/ip", "-V"), "iproute2");
  assert.match(await within("heddled", "/usr/bin/node", "--version"), "v24.");
  assert.is((await within("heddled", "/usr/bin/node", "--check", "/app/heddled.mjs")).trim(), "");
});

test.run();
