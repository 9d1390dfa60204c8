import { Command } from "commander";
import { registerInstall } from "./install.js";
import { registerManifest } from "./manifest.js";
import { registerRun } from "./run/command.js";
import { registerUninstall } from "./uninstall.js";
import { version } from "./version.js";

const program = new Command("heddle").description("Heddle, a service mesh for Kubernetes").version(version, "-V");
for (const register of [registerInstall, registerManifest, registerRun, registerUninstall]) register(program);

try {
  await program.parseAsync();
} catch (error) {
  console.error(`heddle: ${(error as Error).message}`);
  process.exitCode = 1;
}
