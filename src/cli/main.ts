import { Command } from "commander";
import { registerAnalyze } from "./analyze/command.js";
import { registerCa } from "./ca/command.js";
import { registerIdentity } from "./identity.js";
import { registerInject } from "./inject.js";
import { registerInstall } from "./install.js";
import { registerManifest } from "./manifest.js";
import { registerMtls } from "./mtls/command.js";
import { registerRedirect } from "./redirect.js";
import { registerRun } from "./run/command.js";
import { registerUninstall } from "./uninstall.js";
import { version } from "./version.js";
import { registerVersion } from "./version-command.js";

const program = new Command("heddle").description("Heddle, a service mesh for Kubernetes").version(version, "-V");
const registrations = [
  registerInstall,
  registerUninstall,
  registerManifest,
  registerInject,
  registerAnalyze,
  registerMtls,
  registerCa,
  registerIdentity,
  registerRedirect,
  registerRun,
  registerVersion,
];
for (const register of registrations) register(program);

try {
  await program.parseAsync();
} catch (error) {
  console.error(`heddle: ${(error as Error).message}`);
  process.exitCode = 1;
}
