import { Counter, Gauge, type Registry } from "prom-client";
import type { ControlPlaneObserver } from "./control-plane.js";

/** The control plane's own metrics. */
export const createObserver = (
  registry: Registry,
): ControlPlaneObserver & { readonly configMapJudged: (configMap: string, isUsable: boolean) => void } => {
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
    configMapJudged: (configmap, isUsable) => badConfigMap.set({ configmap }, isUsable ? 0 : 1),
    connected: (count) => connected.set(count),
    pushed: (bytes) => pushed.inc(bytes),
    acked: (type) => answers.inc({ type, answer: "ack" }),
    nacked: (type) => answers.inc({ type, answer: "nack" }),
    refused: () => refused.inc(),
    secretJudged: (secret, isUsable) => rejected.set({ secret }, isUsable ? 0 : 1),
    authorityInForce: (notAfter) => expiry.set(notAfter.getTime() / 1000),
    signed: (outcome) => signed.inc({ outcome }),
  };
};
