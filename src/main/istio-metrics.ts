import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { Compiler } from "../compile/compiler.js";
import { type TypeUrl, typeUrls } from "../compile/resources.js";

/** What became of a pod at admission. */
export type InjectionOutcome = "success" | "skip" | "failure";

const shortNames: ReadonlyMap<string, string> = new Map([
  [typeUrls.cluster, "cds"],
  [typeUrls.endpoint, "eds"],
  [typeUrls.listener, "lds"],
  [typeUrls.route, "rds"],
  [typeUrls.secret, "sds"],
  [typeUrls.extension, "ecds"],
]);

const shortName = (type: TypeUrl): string => shortNames.get(type) ?? type;

const pushBuckets = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 5, 10, 20, 30];
const convergenceBuckets = [0.01, 0.05, 0.1, 0.5, 1, 3, 5, 10, 20, 30];

/** The metrics that Istio's dashboards of the control plane are made of, by Istio's names. */
export const createIstioMetrics = (registry: Registry) => {
  const registers = [registry];
  const connected = new Gauge({ name: "pilot_xds", help: "Proxies connected to this control plane", registers });
  const pushes = new Counter({
    name: "pilot_xds_pushes",
    help: "Responses sent to proxies, by type of configuration",
    labelNames: ["type"],
    registers,
  });
  const rejects = new Counter({
    name: "pilot_total_xds_rejects",
    help: "Responses that proxies rejected, by type of configuration",
    labelNames: ["type"],
    registers,
  });
  const pushTime = new Histogram({
    name: "pilot_xds_push_time",
    help: "Seconds to put together and send a response",
    labelNames: ["type"],
    buckets: pushBuckets,
    registers,
  });
  const convergence = new Histogram({
    name: "pilot_proxy_convergence_time",
    help: "Seconds from a change of configuration until a connected proxy holds all of it",
    buckets: convergenceBuckets,
    registers,
  });
  const injectionRequests = new Counter({
    name: "sidecar_injection_requests_total",
    help: "Pods that injection was asked about",
    registers,
  });
  const counterOf = (name: string, help: string): Counter => new Counter({ name, help, registers });
  const injections: Readonly<Record<InjectionOutcome, Counter>> = {
    success: counterOf("sidecar_injection_success_total", "Pods that were given a sidecar"),
    skip: counterOf("sidecar_injection_skip_total", "Pods that are to have no sidecar"),
    failure: counterOf("sidecar_injection_failure_total", "Pods that were refused, or whose injection failed"),
  };
  return {
    connected: (count: number): void => connected.set(count),
    pushed: (type: TypeUrl, milliseconds: number): void => {
      pushes.inc({ type: shortName(type) });
      pushTime.observe({ type: shortName(type) }, milliseconds / 1000);
    },
    nacked: (type: TypeUrl): void => rejects.inc({ type: shortName(type) }),
    converged: (milliseconds: number): void => convergence.observe(milliseconds / 1000),
    injected: (outcome: InjectionOutcome): void => {
      injectionRequests.inc();
      injections[outcome].inc();
    },
    /** Counts what the model holds whenever it is asked for. */
    follow: (snapshot: Compiler["snapshot"]): void => {
      const count = (name: string, help: string, counted: () => number): void => {
        new Gauge({
          ...{ name, help, registers },
          collect() {
            this.set(counted());
          },
        });
      };
      count("pilot_services", "Services, and hosts of ServiceEntries", () => snapshot().services.size);
      count("pilot_virt_services", "VirtualServices", () => snapshot().virtualServices.written.size);
    },
  };
};
