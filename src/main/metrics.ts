import { Counter, Gauge, type Registry } from "prom-client";
import { createCertificateObserver } from "./certificates/metrics.js";
import type { ControlPlaneObserver } from "./control-plane.js";
import { createIstioMetrics } from "./istio-metrics.js";

/** The control plane's own metrics. */
export const createObserver = (
  registry: Registry,
): ControlPlaneObserver & { readonly configMapJudged: (configMap: string, isUsable: boolean) => void } & Pick<
    ReturnType<typeof createIstioMetrics>,
    "injected" | "follow"
  > => {
  const istio = createIstioMetrics(registry);
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
  const dropped = new Counter({
    name: "heddle_connections_dropped_total",
    help: "Connections closed before it was known whose they were, or for there being too many",
    labelNames: ["reason"],
    registers,
  });
  const badConfigMap = new Gauge({
    name: "heddle_configmap_rejected",
    help: "1 while the ConfigMap cannot be used, so that what it said last holds",
    labelNames: ["configmap"],
    registers,
  });
  const fetches = new Counter({
    name: "heddle_issuer_key_fetches_total",
    help: "Fetches of token issuers' keys",
    labelNames: ["outcome"],
    registers,
  });
  const issuerKeys = new Gauge({
    name: "heddle_issuer_keys",
    help: "Sources of token issuers' keys: current, stale if the last fetch failed, missing if none has succeeded",
    labelNames: ["state"],
    registers,
  });
  return {
    keysFetched: (outcome, counts) => {
      fetches.inc({ outcome });
      for (const [state, count] of Object.entries(counts)) issuerKeys.set({ state }, count);
    },
    ...createCertificateObserver(registry),
    configMapJudged: (configmap, isUsable) => badConfigMap.set({ configmap }, isUsable ? 0 : 1),
    injected: istio.injected,
    follow: istio.follow,
    converged: istio.converged,
    connected: (count) => {
      connected.set(count);
      istio.connected(count);
    },
    pushed: (bytes, type, milliseconds) => {
      pushed.inc(bytes);
      istio.pushed(type, milliseconds);
    },
    acked: (type) => answers.inc({ type, answer: "ack" }),
    nacked: (type) => {
      answers.inc({ type, answer: "nack" });
      istio.nacked(type);
    },
    refused: () => refused.inc(),
    dropped: (reason) => dropped.inc({ reason }),
  };
};
