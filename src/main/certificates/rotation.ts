import type { SecretStore } from "../../identity/authority.js";
import { fingerprintOf } from "../../identity/authority.js";
import type { SecretData } from "../../identity/authority-secret.js";
import type { LiveAuthority } from "../../identity/live-authority.js";
import type { ApiClient } from "../../watch/api-client.js";
import { contendForLease } from "../lease.js";
import { createRotationDriver, type RootRotationSettings } from "./driver.js";
import type { Holdings } from "./holdings.js";
import type { CertificateSource } from "./identities.js";
import { keepAuthorityRecord } from "./record.js";
import type { AuthorityStatus, ReplicaReport } from "./state.js";

export interface RootRotationOptions extends RootRotationSettings {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Name of this replica's pod. */
  readonly instance: string;
  readonly authority: LiveAuthority;
  readonly store: SecretStore;
  readonly trustDomain: string;
  /** Who signs the workloads' certificates. */
  readonly workloads: CertificateSource;
  readonly holdings: Holdings;
  /** Names of the pods of heddled that run, of every revision. */
  readonly replicas: () => readonly string[];
  /** Whether ConfigMaps and webhooks hold the bundle of now, as far as this replica sees. */
  readonly isWritten: () => boolean;
  readonly told: (message: string, details: Readonly<Record<string, unknown>>) => void;
  readonly failed: (error: Error) => void;
}

export interface RunningRotation {
  /** To be told of each change of `istio-ca-secret`. */
  readonly secretChanged: (data: SecretData | undefined) => void;
  /** Nothing while another replica drives. */
  readonly status: () => AuthorityStatus | undefined;
  readonly stop: () => Promise<void>;
}

/** One authority for all revisions of the namespace, and so one that drives. */
export const rotationLease = "heddle-ca";
const reportMilliseconds = 500;

/** Takes part in the rotation of the mesh's root: reports what this replica sees, and drives while it holds the Lease. */
export const startRootRotation = (options: RootRotationOptions): RunningRotation => {
  const { client, namespace, instance, authority, failed } = options;
  let secret: SecretData | undefined;
  const replicas = (): readonly string[] => [...new Set([instance, ...options.replicas()])].sort();
  const record = keepAuthorityRecord({ client, namespace, instance, replicas, failed });
  const lease = contendForLease({
    client,
    namespace,
    name: rotationLease,
    identity: instance,
    changed: (isHolder) =>
      options.told(isHolder ? "drives the rotation of roots" : "another replica drives the rotation of roots", {}),
    failed,
  });
  const report = (): ReplicaReport => ({
    ...options.holdings.summary(),
    roots: authority.trustedRoots().map(({ pem }) => fingerprintOf(pem)),
    written: options.isWritten(),
  });
  const driver = createRotationDriver({
    ...options,
    mayDrive: lease.isHolder,
    secret: () => secret,
    replicas,
    reports: record.reports,
    request: record.request,
    unwanted: record.unwanted,
    answered: record.answered,
  });
  const reporting = setInterval(() => record.put(report(), driver.status()), reportMilliseconds);
  reporting.unref();
  return {
    secretChanged: (data) => {
      secret = data;
    },
    status: driver.status,
    stop: async () => {
      clearInterval(reporting);
      await driver.stop();
      await Promise.all([record.stop(), lease.stop()]);
    },
  };
};
