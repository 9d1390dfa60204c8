import type { Logger } from "pino";
import { type AdmissionServer, type AdmitPod, startAdmissionServer } from "../admission/server.js";
import type { ObjectSource } from "../api/kubernetes.js";
import { createLastGood, type Judgement } from "../api/last-good.js";
import type { MeshConfig } from "../api/meshconfig.js";
import { type Compiler, createCompiler } from "../compile/compiler.js";
import { type CertificateAuthority, openAuthority, type SecretStore } from "../identity/authority.js";
import { createWorkloadCertificates } from "../identity/workload.js";
import { noProxyConfigs, type ProxyConfigs, withProxyConfigs } from "../model/proxy-config.js";
import type { Authenticate } from "../serve/configuration.js";
import { startXdsServer, type XdsObserver, type XdsServer } from "../serve/server.js";
import { createAnalyser } from "./analysis.js";
import { createConfiguration } from "./configuration.js";

export interface ControlPlaneOptions {
  readonly mesh: MeshConfig;
  readonly source: ObjectSource;
  readonly secrets: SecretStore;
  readonly authenticate: Authenticate;
  readonly admit: (compiler: Compiler, proxyConfigs: () => ProxyConfigs) => AdmitPod;
  readonly host: string;
  readonly xdsPort: number;
  readonly webhookPort: number;
  /** DNS names of the serving certificate. */
  readonly serverNames: readonly string[];
  readonly logger: Logger;
  readonly observe?: XdsObserver;
  /** Told of each resource of the configuration API that came or changed, before the model has it. */
  readonly judged?: (judgements: readonly Judgement[]) => void;
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

const tellFaults = (logger: Logger, { kind, namespace, name, findings, inForce }: Judgement): void => {
  if (inForce === "judged") return;
  const faults = findings.map(({ path, message }) => `${path}: ${message}`);
  const rest = inForce === "earlier" ? "; its last valid version stays in force" : "";
  logger.warn({ kind, namespace, name, faults }, `an invalid resource has no effect${rest}`);
};

/** Wires the rooms and listens; resolves when the first list of objects is in and both servers answer. */
export const startControlPlane = async (options: ControlPlaneOptions): Promise<ControlPlane> => {
  const { logger, mesh } = options;
  const authority = await openAuthority(options.secrets, mesh.trustDomain);
  const compiler = createCompiler(mesh);
  const keepLastGood = createLastGood();
  const analyser = createAnalyser(mesh);
  let proxyConfigs = noProxyConfigs;
  options.source.subscribe((events) => {
    const kept = keepLastGood(events);
    for (const judgement of kept.judgements) tellFaults(logger, judgement);
    options.judged?.(kept.judgements);
    proxyConfigs = withProxyConfigs(proxyConfigs, kept.events);
    analyser.apply(kept.events);
    compiler.apply(kept.events);
  });
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
    admit: options.admit(compiler, () => proxyConfigs),
    analyse: analyser.analyse,
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
