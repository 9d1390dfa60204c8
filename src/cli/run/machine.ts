import { join } from "node:path";
import type { Machine } from "./pod.js";

export const projectFolder = join(import.meta.dirname, "..", "..", "..");
export const templateFile = join(projectFolder, "templates", "sidecar.yaml");

/** What stands for the images of the project on this machine. */
export const localMachine = (envoy: string): Machine => ({
  images: new Map([
    ["heddle/echo", [process.execPath, join(projectFolder, "deploy/samples/echo/server.ts")]],
    ["heddle/node", [process.execPath]],
    ["heddle/proxyv2", [envoy]],
  ]),
  files: new Map([["/etc/heddle/tproxy-routes", join(projectFolder, "deploy/images/proxy/tproxy-routes")]]),
});
