import { Counter, Gauge, type Registry } from "prom-client";
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
  const signed = new Counter({
    name: "heddle_certificate_requests_total",
    help: "Requests to sign a key that the client holds",
    labelNames: ["outcome"],
    registers,
  });
  const rejected = new Gauge({
    name: "heddle_authority_secret_rejected",
    help: "1 while the Secret holds an authority that cannot be used, so that the last good one stays in force",
    labelNames: ["secret"],
    registers,
  });
  const expiry = new Gauge({
    name: "heddle_authority_expiry_timestamp_seconds",
    help: "When the authority that signs certificates expires",
    registers,
  });
  const badConfigMap = new Gauge({
    name: "heddle_configmap_rejected",
    help: "1 while the ConfigMap cannot be used, so that what it said last holds",
    labelNames: ["configmap"],
    registers,
  });
  return {
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
    secretJudged: (secret, isUsable) => rejected.set({ secret }, isUsable ? 0 : 1),
    authorityInForce: (notAfter) => expiry.set(notAfter.getTime() / 1000),
    signed: (outcome) => signed.inc({ outcome }),
  };
};
