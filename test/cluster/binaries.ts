import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "./processes.ts";
import { kubernetesVersion, paths } from "./settings.ts";

const [major, minor] = kubernetesVersion.split(".");
const versionFlags = [
  `-X k8s.io/component-base/version.gitVersion=v${kubernetesVersion}`,
  `-X k8s.io/component-base/version.gitMajor=${major}`,
  `-X k8s.io/component-base/version.gitMinor=${minor}`,
  `-X k8s.io/client-go/pkg/version.gitVersion=v${kubernetesVersion}`,
].join(" ");

const build = async (folder: string, binary: string, linkerFlags: string): Promise<void> => {
  const source = join(import.meta.dirname, folder);
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum", "main.go"]) hash.update(readFileSync(join(source, file)));
  const digest = hash.digest("hex");
  const stamp = `${binary}.sha256`;
  if (existsSync(binary) && existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  console.error(`building ${binary} from its Go modules (some minutes with a cold cache)`);
  await run("go", ["build", "-ldflags", `-s -w ${linkerFlags}`, "-o", binary, "."], {
    cwd: source,
    env: { CGO_ENABLED: "0", GOFLAGS: "-p=1 -buildvcs=false", GOTOOLCHAIN: "auto" },
    deadlineSeconds: 3600,
  });
  writeFileSync(stamp, digest);
};

/** Builds the Kubernetes components, which are one binary, where their sources changed. */
export const buildKube = (): Promise<void> => build("kube", paths.kube, versionFlags);

/** Builds the Kubernetes components and CoreDNS where their sources changed. */
export const buildBinaries = async (): Promise<void> => {
  await buildKube();
  await build("dns", paths.coredns, "");
};
