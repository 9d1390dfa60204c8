import { setTimeout as delay } from "node:timers/promises";
import { KubeConfig } from "@kubernetes/client-node";
import { pino } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { startInspectionServer } from "../admission/inspection.js";
import { startMonitoringServer } from "../admission/monitoring.js";
import { operatorSecret, selfMadeSecret } from "../identity/authority-secret.js";
import { limitRefusals } from "../identity/refusal-limit.js";
import { createTokenAuthenticator } from "../identity/token.js";
import { trustSecret } from "../identity/trust-secret.js";
import { createApiClient } from "../watch/api-client.js";
import { watchKubernetes } from "../watch/kubernetes.js";
import type { WatchedObject } from "../watch/list-watch.js";
import { watchNamed } from "../watch/named.js";
import { createInjector } from "./admit.js";
import { identitiesOf, sourceOf } from "./certificates/identities.js";
import { observeAuthority } from "./certificates/metrics.js";
import { startRootRotation } from "./certificates/rotation.js";
import { type ControlPlane, startControlPlane } from "./control-plane.js";
import { createEventRecorder, eventOfNack, eventOfPod } from "./events.js";
import { ipFamiliesOf } from "./ip-families.js";
import { createKubernetesAdapters, decodeSecret } from "./kubernetes.js";
import { contendForLease, type HeldLease } from "./lease.js";
import { followSettings } from "./live-settings.js";
import { createObserver } from "./metrics.js";
import { keepRootCertificates } from "./root-certificates.js";
import { readSettings } from "./settings.js";
import { createStatusWriter } from "./status/writer.js";
import { keepWebhookBundles } from "./webhook-bundles.js";

const tokenAudience = "istio-ca";
/** Much longer than a watch is behind, and short of the webhook's time-out. */
const namespacePatienceMilliseconds = 2000;

const settings = await readSettings(process.env);
const logger = pino({ level: settings.logLevel, redact: ["token", "authorization", "privateKeyPem"] });
for (const warning of settings.warnings) logger.warn(warning);
const registry = new Registry();
collectDefaultMetrics({ register: registry });
const observer = createObserver(registry);
const kubeConfig = new KubeConfig();
if (process.env["KUBECONFIG"] === undefined) kubeConfig.loadFromCluster();
else kubeConfig.loadFromFile(process.env["KUBECONFIG"]);
const client = createApiClient(kubeConfig);
const adapters = createKubernetesAdapters(kubeConfig, settings.namespace);
const serverName = `${settings.serviceName}.${settings.namespace}.svc`;
const failed = (error: Error): void => logger.error({ error: error.message }, "could not reconcile");
const watchFailed = (kind: string, error: Error): void =>
  logger.warn({ kind, error: error.message }, "a watch failed and is tried again");

let plane: ControlPlane | undefined;
let isStopping = false;
let isBundled = false;
const monitoring = await startMonitoringServer({
  host: settings.host,
  port: settings.monitoringPort,
  registry,
  waitingFor: () => [
    ...(isStopping ? ["the end: heddled is stopping"] : []),
    ...(plane === undefined ? ["the first list of objects"] : []),
    ...(isBundled ? [] : [`the CA bundle of ${settings.webhookConfiguration}`]),
  ],
});

const recordEvent = createEventRecorder({ client, instance: settings.podName, failed });
const live = followSettings({ client, settings, logger, judged: observer.configMapJudged });

const statusWriter = createStatusWriter({
  client,
  mayWrite: () => lease?.isHolder() ?? false,
  written: (status) => plane?.statuses.written(status),
  failed,
});
let lease: HeldLease | undefined;

plane = await startControlPlane({
  statusChanged: statusWriter.put,
  mesh: settings.mesh,
  source: watchKubernetes(kubeConfig, { failed: watchFailed }),
  secrets: adapters.secrets,
  authenticate: limitRefusals(createTokenAuthenticator(adapters.reviewToken, tokenAudience)),
  admit: createInjector({
    revision: settings.revision,
    injection: live.injection,
    cluster: (snapshot) => ({
      controlPlaneHost: serverName,
      controlPlanePort: 15012,
      trustDomain: settings.mesh.trustDomain,
      clusterDomain: settings.mesh.clusterDomain,
      clusterId: settings.clusterId,
      network: settings.network,
      ipFamilies: ipFamiliesOf(snapshot, settings.namespace, settings.podName),
      spire: settings.mesh.spire,
    }),
    noticed: (notice) => {
      const { namespace, pod, outcome, reason } = notice;
      logger.warn({ namespace, pod, outcome, reason }, "a pod gets no sidecar");
      recordEvent(eventOfPod(notice));
    },
    counted: observer.injected,
    patienceMilliseconds: namespacePatienceMilliseconds,
  }),
  host: settings.host,
  xdsPort: settings.xdsPort,
  webhookPort: settings.webhookPort,
  serverNames: [serverName, `${serverName}.${settings.mesh.clusterDomain}`],
  logger,
  observe: observer,
  rotation: settings.rotation,
  issuerKeys: settings.issuerKeys,
});
const { authority, compiler } = plane;
observer.follow(compiler.snapshot);
plane.onNack((nack) => recordEvent(eventOfNack(nack)));
logger.info({ authority: authority.origin, validUntil: authority.notAfter, xds: plane.xds.port }, "heddled serves");

const { holdings } = plane;
const inspection = await startInspectionServer({
  port: settings.inspectionPort,
  views: { "/identities": () => identitiesOf(settings.podName, authority, holdings, sourceOf(settings.mesh)) },
});

lease = contendForLease({
  client,
  namespace: settings.namespace,
  name: `${settings.serviceName}-status`,
  identity: settings.podName,
  changed: (isHolder) => {
    logger.info({ isHolder }, isHolder ? "writes statuses from now on" : "another replica writes statuses");
    if (isHolder) plane?.statuses.sweep();
  },
  failed,
});

/** Pods of heddled that run, of every revision: they share the authority. */
const replicas = (): readonly string[] =>
  [...compiler.snapshot().pods.values()].flatMap(({ metadata, status }) =>
    metadata?.namespace === settings.namespace &&
    metadata.labels?.["app"] === "heddled" &&
    metadata.deletionTimestamp === undefined &&
    status?.phase === "Running"
      ? [metadata.name ?? ""]
      : [],
  );

const rotation = startRootRotation({
  ...settings.certificates,
  client,
  namespace: settings.namespace,
  instance: settings.podName,
  authority,
  store: adapters.secrets,
  trustDomain: settings.mesh.trustDomain,
  holdings,
  workloads: sourceOf(settings.mesh),
  replicas,
  isWritten: () => bundles.isWritten() && roots.isWritten(),
  told: (message, details) => logger.info(details, message),
  failed,
});

observeAuthority(registry, authority, rotation.status);

const secretWatches = [operatorSecret, selfMadeSecret, trustSecret].map((name) =>
  watchNamed<WatchedObject & { readonly data?: Readonly<Record<string, string>> }>({
    client,
    path: `/api/v1/namespaces/${settings.namespace}/secrets`,
    name,
    changed: (secret) => {
      const data = secret && decodeSecret(secret.data);
      authority.secretChanged(name, data);
      if (name === selfMadeSecret) rotation.secretChanged(data);
    },
    failed: (error) => watchFailed(`Secret ${name}`, error),
  }),
);

const bundles = keepWebhookBundles({
  client,
  mutating: settings.webhookConfiguration,
  validating: settings.validationConfiguration,
  bundle: () => authority.rootsPem,
  // Ready once is ready: a bundle that someone takes away comes back, and the webhook serves meanwhile.
  bundled: () => {
    isBundled = true;
  },
  failed,
});
const roots = keepRootCertificates({
  client,
  namespaces: () => compiler.snapshot().namespaces,
  bundle: () => authority.rootsPem,
  failed,
});
authority.onChange((change) => {
  if (change !== "trust") return;
  bundles.renew();
  roots.renew();
});
let namespaces = compiler.snapshot().namespaces;
compiler.onApplied(() => {
  const current = compiler.snapshot().namespaces;
  if (current === namespaces) return;
  namespaces = current;
  roots.check();
});

/** Others take over while this one still serves; then the proxies are sent to them, and what is under way ends. */
const stop = async (signal: string): Promise<void> => {
  logger.info({ signal }, "stopping");
  isStopping = true;
  // Who removes the mesh must not see what is removed come back.
  await Promise.all([statusWriter.stop(), lease?.stop(), rotation.stop()]);
  await Promise.all([bundles, roots, ...secretWatches].map((part) => part.stop()));
  await delay(settings.shutdownGraceMilliseconds);
  await plane?.stop(settings.shutdownSpreadMilliseconds);
  await Promise.all([live.stop(), inspection.close()]);
  await monitoring.close();
  logger.info("stopped");
  process.exit(0);
};
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop(signal));
