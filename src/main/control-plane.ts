import type { Logger } from "pino";
import { type AdmissionServer, type AdmitPod, startAdmissionServer } from "../admission/server.js";
import type { Analyse } from "../admission/validation.js";
import type { ObjectSource } from "../api/kubernetes.js";
import type { MeshConfig } from "../api/meshconfig.js";
import { type Compiler, createCompiler } from "../compile/compiler.js";
import { type CertificateAuthority, openAuthority, type SecretStore } from "../identity/authority.js";
import { createWorkloadCertificates } from "../identity/workload.js";
import type { Authenticate } from "../serve/configuration.js";
import { startXdsServer, type XdsObserver, type XdsServer } from "../serve/server.js";
import { createConfiguration } from "./configuration.js";

export interface ControlPlaneOptions {
  readonly mesh: MeshConfig;
  readonly source: ObjectSource;
  readonly secrets: SecretStore;
  readonly authenticate: Authenticate;
  readonly admit: (compiler: Compiler) => AdmitPod;
  /** Findings about a valid resource that others give rise to, for admission. */
  readonly analyse?: (compiler: Compiler) => Analyse;
  readonly host: string;
  readonly xdsPort: number;
  readonly webhookPort: number;
  /** DNS names of the serving certificate. */
  readonly serverNames: readonly string[];
  readonly logger: Logger;
  readonly observe?: XdsObserver;
}

export interface ControlPlane {
  readonly authority: CertificateAuthority;
  readonly compiler: Compiler;
  readonly xds: XdsServer;
  readonly admission: AdmissionServer;
  readonly stop: () => Promise<void>;
}

const workloadLifetimeSeconds = 24 * 3600;
const servingLifetimeSeconds = 90 * 24 * 3600;
/** Long before the serving certificate ends, and often enough that a failure has many more tries. */
const servingRenewalMilliseconds = 7 * 24 * 3600 * 1000;

/** Wires the rooms and listens; resolves when the first list of objects is in and both servers answer. */
export const startControlPlane = async (options: ControlPlaneOptions): Promise<ControlPlane> => {
  const { logger, mesh } = options;
  const authority = await openAuthority(options.secrets, mesh.trustDomain);
  const compiler = createCompiler(mesh);
  options.source.subscribe(compiler.apply);
  await options.source.synced;
  const certificates = createWorkloadCertificates({
    authority: () => authority,
    trustDomain: mesh.trustDomain,
    lifetimeSeconds: workloadLifetimeSeconds,
    failed: (error, id) => logger.error({ id, error: error.message }, "could not renew a workload certificate"),
  });
  const issueServing = () => authority.issue({ dnsNames: options.serverNames }, servingLifetimeSeconds);
  const certificate = await issueServing();
  const admission = await startAdmissionServer({
    host: options.host,
    port: options.webhookPort,
    certificate,
    admit: options.admit(compiler),
    ...(options.analyse === undefined ? {} : { analyse: options.analyse(compiler) }),
    failed: (error) => logger.error({ error: error.message }, "an admission failed"),
  });
  const xds = await startXdsServer({
    host: options.host,
    port: options.xdsPort,
    authenticate: options.authenticate,
    configuration: createConfiguration({ compiler, certificates, nacked: () => {} }),
    certificate,
    logger,
    ...(options.observe === undefined ? {} : { observe: options.observe }),
  });
  const renewal = setInterval(() => {
    issueServing().then(
      (next) => {
        admission.setCertificate(next);
        xds.setCertificate(next);
      },
      (error: Error) => logger.error({ error: error.message }, "could not renew the serving certificate"),
    );
  }, servingRenewalMilliseconds);
  renewal.unref();
  return {
    authority,
    compiler,
    xds,
    admission,
    stop: async () => {
      clearInterval(renewal);
      await options.source.stop();
      await Promise.all([xds.stop(), admission.close()]);
    },
  };
};
