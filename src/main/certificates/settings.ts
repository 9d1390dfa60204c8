import type { SpireSettings } from "../../api/meshconfig.js";
import type { RotationSettings } from "../control-plane.js";
import { readDuration } from "../duration.js";
import type { RootRotationSettings } from "./driver.js";

export type CertificateSettings = RootRotationSettings;

const shortestLifetimeMilliseconds = 10_000;

/** Lifetimes and rotation, from the environment. Throws an Error that names the variable and the cure. */
export const readCertificateSettings = (
  environment: NodeJS.ProcessEnv,
): { readonly rotation: RotationSettings; readonly certificates: CertificateSettings } => {
  const duration = (name: string, fallback: string): number => readDuration(environment, name, fallback);
  const distributionMilliseconds = duration("CERTIFICATE_DISTRIBUTION", "10s");
  const rootLifetimeMilliseconds = duration("ROOT_LIFETIME", "87600h");
  const rotateBeforeMilliseconds = duration("ROOT_ROTATE_BEFORE", `${Math.ceil(rootLifetimeMilliseconds / 5000)}s`);
  const workloadLifetime = duration("WORKLOAD_CERTIFICATE_LIFETIME", "24h");
  if (workloadLifetime < shortestLifetimeMilliseconds)
    throw new Error('WORKLOAD_CERTIFICATE_LIFETIME: is shorter than 10s; write one such as "24h"');
  if (rotateBeforeMilliseconds > rootLifetimeMilliseconds / 2)
    throw new Error(
      "ROOT_ROTATE_BEFORE: is more than half of ROOT_LIFETIME, so that roots would follow one another; shorten it",
    );
  if (workloadLifetime > rotateBeforeMilliseconds)
    throw new Error(
      "ROOT_ROTATE_BEFORE: is shorter than WORKLOAD_CERTIFICATE_LIFETIME, so that certificates would end with their root; lengthen it",
    );
  return {
    rotation: {
      distributionMilliseconds,
      reissueMilliseconds: duration("CERTIFICATE_REISSUE_WINDOW", "60s"),
      workloadLifetimeSeconds: workloadLifetime / 1000,
      rootLifetimeMilliseconds,
    },
    certificates: {
      rootLifetimeMilliseconds,
      rotateBeforeMilliseconds,
      settleMilliseconds: distributionMilliseconds,
    },
  };
};

/** Who gives proxies their certificates, from the environment. Throws an Error that names the variable and the cure. */
export const readSpireSettings = (environment: NodeJS.ProcessEnv): SpireSettings | undefined => {
  const source = environment["CERTIFICATE_SOURCE"] || "heddled";
  const nodeFolder = environment["SPIRE_NODE_FOLDER"] ?? "";
  if (source !== "heddled" && source !== "spire")
    throw new Error(`CERTIFICATE_SOURCE: ${JSON.stringify(source)}; use heddled or spire`);
  if (nodeFolder !== "" && !nodeFolder.startsWith("/"))
    throw new Error(`SPIRE_NODE_FOLDER: ${JSON.stringify(nodeFolder)} is not absolute; begin it with /`);
  return source === "spire" ? { nodeFolder } : undefined;
};
