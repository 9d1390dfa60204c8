import type { V1Pod } from "@kubernetes/client-node";
import { type PodNotice, podNotice } from "../admission/notices.js";
import type { PodAdmission } from "../admission/review.js";
import type { AdmitPod } from "../admission/server.js";
import type { Compiler } from "../compile/compiler.js";
import { injectPod } from "../injection/inject.js";
import type { InjectionTemplate } from "../injection/template.js";
import type { InjectionCluster, InjectionResult, InjectionValues } from "../injection/types.js";
import { type ProxyConfigs, proxyConfigsFor } from "../model/proxy-config.js";
import type { Snapshot } from "../model/snapshot.js";
import type { InjectionOutcome } from "./istio-metrics.js";

export interface InjectorOptions {
  readonly revision: string;
  /** Asked at each admission, so that a change takes effect with the next pod. */
  readonly injection: () => { readonly template: InjectionTemplate; readonly values: InjectionValues };
  readonly cluster: (snapshot: Snapshot) => InjectionCluster;
  /** Told of a pod that asked for a sidecar and is not to have one, or is refused; not of a dry run. */
  readonly noticed?: (notice: PodNotice) => void;
  /** Told of each pod, whatever becomes of it. */
  readonly counted?: (outcome: InjectionOutcome) => void;
  /** How long to wait for news of a namespace that asks for nothing, where only pods that ask are sent here; 0 without. */
  readonly patienceMilliseconds?: number;
}

type Labels = Readonly<Record<string, string>>;

const askingLabels = ["istio-injection", "istio.io/rev", "sidecar.istio.io/inject"];
const saysNothing = (labels: Labels | null | undefined): boolean =>
  !askingLabels.some((label) => labels?.[label] !== undefined);

const namespaceOf = (compiler: Compiler, namespace: string) => compiler.snapshot().namespaces.get(namespace);

/** Resolves when the namespace has changed, or after the time. */
const namespaceChanged = (compiler: Compiler, namespace: string, milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    const before = namespaceOf(compiler, namespace);
    const end = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    const stop = compiler.onApplied(() => {
      if (namespaceOf(compiler, namespace) !== before) end();
    });
  });

/** Answers admission from the model's namespaces: no request waits for the API server, unless that knows more. */
export const createInjector =
  (options: InjectorOptions) =>
  (compiler: Compiler, proxyConfigs: () => ProxyConfigs): AdmitPod => {
    const inject = ({ namespace, pod }: PodAdmission, labels: Labels): InjectionResult => {
      const { metadata } = namespaceOf(compiler, namespace) ?? {};
      const snapshot = compiler.snapshot();
      return injectPod({
        pod: pod as unknown as V1Pod,
        namespace: { name: namespace, labels: metadata?.labels ?? {}, annotations: metadata?.annotations ?? {} },
        revision: options.revision,
        ...options.injection(),
        cluster: options.cluster(snapshot),
        proxyConfigs: proxyConfigsFor(proxyConfigs(), { namespace, labels }, snapshot.mesh.rootNamespace),
      });
    };

    const admit: AdmitPod = async (admission) => {
      const { namespace, pod } = admission;
      const labels = (pod["metadata"] as { readonly labels?: Labels | null }).labels ?? {};
      const patience = options.patienceMilliseconds ?? 0;
      // The API server saw a label that asks for a sidecar, or would not have called.
      const isEarly = (): boolean =>
        patience > 0 && saysNothing(labels) && saysNothing(namespaceOf(compiler, namespace)?.metadata?.labels);
      let result = inject(admission, labels);
      if (result.kind === "skipped" && isEarly()) {
        await namespaceChanged(compiler, namespace, patience);
        if (namespaceOf(compiler, namespace) === undefined)
          return { allowed: false, code: 503, message: `namespace ${namespace} is not known yet; try again` };
        result = inject(admission, labels);
      }
      const notice = (outcome: PodNotice["outcome"], reason: string): void => {
        if (!admission.dryRun) options.noticed?.(podNotice(admission, outcome, reason));
      };
      switch (result.kind) {
        case "patched":
          return { allowed: true, patch: result.patch, warnings: result.warnings };
        case "skipped":
          if (result.asked) notice("left out", result.reason);
          return { allowed: true };
        case "refused":
          notice("refused", result.message);
          return { allowed: false, code: 400, message: result.message };
      }
    };

    return async (...asked) => {
      let outcome: InjectionOutcome = "failure";
      try {
        const verdict = await admit(...asked);
        if (verdict.allowed) outcome = verdict.patch === undefined ? "skip" : "success";
        return verdict;
      } finally {
        options.counted?.(outcome);
      }
    };
  };
