import type { Logger } from "pino";
import { type AdmissionServer, type AdmitPod, startAdmissionServer } from "../admission/server.js";
import type { ObjectSource } from "../api/kubernetes.js";
import { createLastGood, type Judgement } from "../api/last-good.js";
import type { MeshConfig } from "../api/meshconfig.js";
import { type Compiler, createCompiler } from "../compile/compiler.js";
import { defaultRootLifetimeMilliseconds, type SecretStore } from "../identity/authority.js";
import { clockSkewMilliseconds } from "../identity/authority-secret.js";
import { createCertificateService } from "../identity/certificate-service.js";
import { type LiveAuthority, openLiveAuthority } from "../identity/live-authority.js";
import { createWorkloadCertificates } from "../identity/workload.js";
import type { KeyCounts } from "../keys/keeper.js";
import type { NewcomerLimits } from "../limits/newcomers.js";
import { noProxyConfigs, type ProxyConfigs, withProxyConfigs } from "../model/proxy-config.js";
import type { Authenticate } from "../serve/configuration.js";
import { startXdsServer, type XdsObserver, type XdsServer } from "../serve/server.js";
import { createAnalyse } from "./analyse.js";
import { createHoldings, type Holdings } from "./certificates/holdings.js";
import type { CertificateObserver } from "./certificates/metrics.js";
import { createConfiguration } from "./configuration.js";
import { defaultIssuerKeys, type IssuerKeySettings, keepIssuerKeys } from "./issuer-keys.js";
import { trackProxies } from "./status/distribution.js";
import type { Nack } from "./status/nack.js";
import { createStatusReporter, type ResourceStatus, type StatusReporter } from "./status/reporter.js";

export type { Nack } from "./status/nack.js";

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
  /** Told what the status of a resource is to be; `written` of the plane's `statuses` answers. */
  readonly statusChanged?: (status: ResourceStatus) => void;
  readonly observe?: ControlPlaneObserver;
  readonly rotation?: RotationSettings;
  readonly issuerKeys?: IssuerKeySettings;
  /** Of xDS connections that have shown no good token yet. */
  readonly newcomers?: Partial<NewcomerLimits>;
}

/** What happens when another authority takes over. */
export interface RotationSettings {
  /** How long the bundle of old and new roots has to reach everyone before the new authority signs. */
  readonly distributionMilliseconds: number;
  /** Then each workload certificate is issued anew at a random moment within this time. */
  readonly reissueMilliseconds: number;
  /** Of a workload certificate, and the most that any certificate of a client gets. */
  readonly workloadLifetimeSeconds: number;
  /** Of the self-made root. */
  readonly rootLifetimeMilliseconds: number;
  /** How long a root that signs no more is trusted; by default until no certificate under it can be valid anywhere. */
  readonly overlapMilliseconds?: number;
}

export const defaultRotation: RotationSettings = {
  distributionMilliseconds: 10_000,
  reissueMilliseconds: 60_000,
  workloadLifetimeSeconds: 24 * 3600,
  rootLifetimeMilliseconds: defaultRootLifetimeMilliseconds,
};

/** What metrics are made of. */
export interface ControlPlaneObserver extends XdsObserver, Partial<CertificateObserver> {
  /** Keys of a token issuer were fetched or not; how many sources there are, by what is known of them. */
  readonly keysFetched?: (outcome: "fetched" | "failed", counts: KeyCounts) => void;
}

export interface ControlPlane {
  readonly authority: LiveAuthority;
  readonly compiler: Compiler;
  /** What each connected proxy holds. */
  readonly holdings: Holdings;
  readonly xds: XdsServer;
  readonly admission: AdmissionServer;
  readonly statuses: Pick<StatusReporter, "written" | "sweep" | "flush">;
  /** Tells of each rejection from now on; returns the unsubscription. */
  readonly onNack: (listener: (nack: Nack) => void) => () => void;
  /** Finishes admissions under way; proxies are told to go elsewhere spread over this time (0 without). */
  readonly stop: (spreadMilliseconds?: number) => Promise<void>;
}

const servingLifetimeSeconds = 90 * 24 * 3600;
/** Long before the serving certificate ends, and often enough that a failure has many more tries. */
const servingRenewalMilliseconds = 7 * 24 * 3600 * 1000;

const tellFaults = (logger: Logger, { kind, namespace, name, findings, inForce, isRepeated }: Judgement): void => {
  if (inForce === "judged" || isRepeated) return;
  const faults = findings.map(({ path, message }) => `${path}: ${message}`);
  const effects = {
    earlier: "has no effect; its last valid version stays in force",
    closed: "denies what it would have restricted, until it is corrected",
    none: "has no effect",
  } as const;
  logger.warn({ kind, namespace, name, faults }, `an invalid resource ${effects[inForce]}`);
};

/** Wires the rooms and listens; resolves when the first list of objects is in and both servers answer. */
export const startControlPlane = async (options: ControlPlaneOptions): Promise<ControlPlane> => {
  const { logger, mesh } = options;
  const rotation = options.rotation ?? defaultRotation;
  const { workloadLifetimeSeconds } = rotation;
  const authority = await openLiveAuthority({
    store: options.secrets,
    trustDomain: mesh.trustDomain,
    rootLifetimeMilliseconds: rotation.rootLifetimeMilliseconds,
    overlapMilliseconds: rotation.overlapMilliseconds ?? workloadLifetimeSeconds * 1000 + clockSkewMilliseconds,
    distributionMilliseconds: rotation.distributionMilliseconds,
    judged: (secret, error) => {
      options.observe?.secretJudged?.(secret, error === undefined);
      if (error !== undefined)
        logger.error({ error: error.message }, "a Secret cannot be used; the last good authority stays in force");
    },
    failed: (error) => logger.error({ error: error.message }, "following the authority's Secrets"),
  });
  const compiler = createCompiler(
    mesh,
    (what, error) =>
      logger.error(
        { what, error: error.message, stack: error.stack },
        "could not be compiled; its last version stays in force",
      ),
    (policy, error) =>
      logger.error(
        { policy, error: error.message },
        "could not be compiled; what it would have restricted is denied until it is corrected",
      ),
  );
  const keepLastGood = createLastGood();
  const tracker = trackProxies(compiler);
  const holdings = createHoldings();
  const statuses = createStatusReporter({
    compiler,
    tracker,
    changed: options.statusChanged ?? (() => {}),
    quarantined: (filter, { proxy, message }) =>
      logger.error(
        { filter, proxy: `${proxy.podName}.${proxy.namespace}`, message },
        "a proxy rejected what an EnvoyFilter makes; it is left out, or its version before applied, until it is edited",
      ),
    failed: (error) => logger.error({ error: error.message }, "a status could not be worked out"),
  });
  const issuerKeys = keepIssuerKeys({
    ...(options.issuerKeys ?? defaultIssuerKeys),
    compiler,
    ...(options.observe?.keysFetched === undefined ? {} : { fetched: options.observe.keysFetched }),
    failed: ({ issuer, url }, message, detail) =>
      logger.warn({ issuer, url, detail }, `an issuer's keys were not fetched: ${message}`),
  });
  let proxyConfigs = noProxyConfigs;
  options.source.subscribe((events) => {
    const kept = keepLastGood(events);
    for (const judgement of kept.judgements) tellFaults(logger, judgement);
    statuses.judged(kept.judgements, kept.removed);
    proxyConfigs = withProxyConfigs(proxyConfigs, kept.events);
    compiler.apply(kept.events);
  });
  await options.source.synced;
  // Proxies that have keys from another replica would be sent a configuration without.
  await issuerKeys.tried();
  const certificates = createWorkloadCertificates({
    authority: () => authority,
    trustDomain: mesh.trustDomain,
    lifetimeSeconds: workloadLifetimeSeconds,
    issued: () => options.observe?.certificate?.("proxy", "issued"),
    failed: (error, id) => {
      options.observe?.certificate?.("proxy", "failed");
      logger.error({ id, error: error.message }, "could not issue a workload certificate");
    },
  });
  const issueServing = async () => {
    const issued = await authority.issue({ dnsNames: options.serverNames }, servingLifetimeSeconds);
    options.observe?.certificate?.("server", "issued");
    options.observe?.servingUntil?.(issued.notAfter);
    // A proxy reads the root for this connection once, when it starts.
    return { ...issued, certificateChainPem: issued.certificateChainPem + authority.crossCertificatesPem() };
  };
  const certificate = await issueServing();
  const admission = await startAdmissionServer({
    host: options.host,
    port: options.webhookPort,
    certificate,
    ...(options.observe?.dropped === undefined ? {} : { dropped: options.observe.dropped }),
    admit: options.admit(compiler, () => proxyConfigs),
    analyse: createAnalyse(compiler),
    failed: (error) => logger.error({ error: error.message }, "an admission failed"),
  });
  const nackListeners = new Set<(nack: Nack) => void>();
  const certificateService = createCertificateService({
    authority: () => authority,
    authenticate: options.authenticate,
    trustDomain: mesh.trustDomain,
    longestLifetime: workloadLifetimeSeconds,
    answered: (outcome, details) => {
      options.observe?.certificate?.("client", outcome);
      if (outcome === "issued") logger.debug(details, "signed a certificate");
      else logger.warn({ ...details, outcome }, "refused to sign a certificate");
    },
  });
  const xds = await startXdsServer({
    host: options.host,
    port: options.xdsPort,
    authenticate: options.authenticate,
    configuration: createConfiguration({
      compiler,
      certificates: mesh.spire === undefined ? certificates : undefined,
      tracker,
      holdings,
      nacked: (proxy, type, names, message) => {
        const nack = { proxy, type, names, message };
        for (const listener of nackListeners) listener(nack);
        statuses.nacked(nack);
      },
    }),
    certificate,
    logger,
    ...(options.newcomers === undefined ? {} : { newcomers: options.newcomers }),
    // Nobody would trust what heddled signs where SPIRE's bundle is what workloads go by.
    services: mesh.spire === undefined ? [certificateService] : [],
    ...(options.observe === undefined ? {} : { observe: options.observe }),
  });
  const renewServing = (): void => {
    issueServing().then(
      (next) => {
        admission.setCertificate(next);
        xds.setCertificate(next);
      },
      (error: Error) => {
        options.observe?.certificate?.("server", "failed");
        logger.error({ error: error.message }, "could not renew the serving certificate");
      },
    );
  };
  const renewal = setInterval(renewServing, servingRenewalMilliseconds);
  renewal.unref();
  authority.onChange((change) => {
    if (change === "trust") return certificates.trustChanged();
    const { origin, notAfter } = authority;
    logger.info({ authority: origin, validUntil: notAfter }, "another authority signs from now on");
    certificates.reissue(rotation.reissueMilliseconds);
    renewServing();
  });
  return {
    authority,
    compiler,
    holdings,
    xds,
    admission,
    statuses,
    onNack: (listener) => {
      nackListeners.add(listener);
      return () => nackListeners.delete(listener);
    },
    stop: async (spreadMilliseconds) => {
      clearInterval(renewal);
      statuses.stop();
      issuerKeys.stop();
      await authority.stop();
      await options.source.stop();
      await Promise.all([xds.stop(spreadMilliseconds), admission.close()]);
    },
  };
};
