import { KubeConfig } from "@kubernetes/client-node";
import { pino } from "pino";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { startMonitoringServer } from "../admission/monitoring.js";
import { createTokenAuthenticator } from "../identity/token.js";
import type { XdsObserver } from "../serve/server.js";
import { watchKubernetes } from "../watch/kubernetes.js";
import { createInjector } from "./admit.js";
import { type ControlPlane, startControlPlane } from "./control-plane.js";
import { createKubernetesAdapters } from "./kubernetes.js";
import { readSettings } from "./settings.js";

const tokenAudience = "istio-ca";
const reconcileMilliseconds = 10_000;

const createObserver = (registry: Registry): XdsObserver => {
  const registers = [registry];
  const connected = new Gauge({ name: "heddle_xds_connected_proxies", help: "Open xDS streams", registers });
  const pushed = new Counter({ name: "heddle_xds_pushed_bytes_total", help: "Bytes of xDS responses", registers });
  const answers = new Counter({
    name: "heddle_xds_answers_total",
    help: "Answers of proxies to xDS responses",
    labelNames: ["type", "answer"],
    registers,
  });
  const refused = new Counter({ name: "heddle_xds_refused_total", help: "Refused xDS streams", registers });
  return {
    connected: (count) => connected.set(count),
    pushed: (bytes) => pushed.inc(bytes),
    acked: (type) => answers.inc({ type, answer: "ack" }),
    nacked: (type) => answers.inc({ type, answer: "nack" }),
    refused: () => refused.inc(),
  };
};

const settings = await readSettings(process.env);
const logger = pino({ level: settings.logLevel, redact: ["token", "authorization", "privateKeyPem"] });
for (const warning of settings.warnings) logger.warn(warning);
const registry = new Registry();
collectDefaultMetrics({ register: registry });
const kubeConfig = new KubeConfig();
kubeConfig.loadFromCluster();
const adapters = createKubernetesAdapters(kubeConfig, settings.namespace);
const serverName = `${settings.serviceName}.${settings.namespace}.svc`;

let plane: ControlPlane | undefined;
let bundled = false;
const monitoring = await startMonitoringServer({
  host: "::",
  port: 15014,
  registry,
  waitingFor: () => [
    ...(plane === undefined ? ["the first list of objects"] : []),
    ...(bundled ? [] : [`the CA bundle of ${settings.webhookConfiguration}`]),
  ],
});

const source = watchKubernetes(kubeConfig, {
  failed: (kind, error) => logger.warn({ kind, error: error.message }, "a watch failed and is tried again"),
});

plane = await startControlPlane({
  mesh: settings.mesh,
  source,
  secrets: adapters.secrets,
  authenticate: createTokenAuthenticator(adapters.reviewToken, tokenAudience),
  admit: createInjector({
    revision: settings.revision,
    template: () => settings.template,
    values: settings.values,
    cluster: {
      controlPlaneHost: serverName,
      controlPlanePort: 15012,
      trustDomain: settings.mesh.trustDomain,
      clusterDomain: settings.mesh.clusterDomain,
      clusterId: settings.clusterId,
      network: settings.network,
      ipFamilies: ["IPv4"],
    },
    skipped: (namespace, pod, reason) =>
      logger.warn(
        { namespace, pod: pod.metadata?.name ?? pod.metadata?.generateName, reason },
        "a pod gets no sidecar",
      ),
  }),
  host: "::",
  xdsPort: 15012,
  webhookPort: 15017,
  serverNames: [serverName, `${serverName}.${settings.mesh.clusterDomain}`],
  logger,
  observe: createObserver(registry),
});
const { authority, compiler } = plane;
logger.info({ authority: authority.origin, validUntil: authority.notAfter, xds: plane.xds.port }, "heddled serves");

const failed = (error: Error): void => logger.error({ error: error.message }, "could not reconcile");

const distribute = (namespaces: Iterable<string>): void => {
  for (const namespace of namespaces) adapters.keepRootCertificate(namespace, authority.rootsPem).catch(failed);
};

const reconcile = (): void => {
  adapters.keepCaBundle("Mutating", settings.webhookConfiguration, authority.rootsPem).then((present) => {
    bundled ||= present;
  }, failed);
  adapters.keepCaBundle("Validating", settings.validationConfiguration, authority.rootsPem).catch(failed);
  distribute(compiler.snapshot().namespaces.keys());
};
reconcile();
const reconciling = setInterval(reconcile, reconcileMilliseconds);

// A new namespace's first pods need the bundle at once.
let knownNamespaces = new Set(compiler.snapshot().namespaces.keys());
compiler.onApplied(() => {
  const current = new Set(compiler.snapshot().namespaces.keys());
  distribute([...current].filter((name) => !knownNamespaces.has(name)));
  knownNamespaces = current;
});

const stop = async (signal: string): Promise<void> => {
  logger.info({ signal }, "stopping");
  clearInterval(reconciling);
  await plane?.stop();
  await monitoring.close();
  process.exit(0);
};
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void stop(signal));
