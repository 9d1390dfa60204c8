import type { V1Pod } from "@kubernetes/client-node";
import { type PodNotice, podNotice } from "../admission/notices.js";
import type { AdmitPod } from "../admission/server.js";
import type { Compiler } from "../compile/compiler.js";
import { injectPod } from "../injection/inject.js";
import type { InjectionTemplate } from "../injection/template.js";
import type { InjectionCluster, InjectionValues } from "../injection/types.js";
import { type ProxyConfigs, proxyConfigsFor } from "../model/proxy-config.js";
import type { Snapshot } from "../model/snapshot.js";

export interface InjectorOptions {
  readonly revision: string;
  /** Asked at each admission, so that a change takes effect with the next pod. */
  readonly injection: () => { readonly template: InjectionTemplate; readonly values: InjectionValues };
  readonly cluster: (snapshot: Snapshot) => InjectionCluster;
  /** Told of a pod that asked for a sidecar and is not to have one, or is refused; not of a dry run. */
  readonly noticed?: (notice: PodNotice) => void;
}

/** Answers admission from the model's namespaces: no request waits for the API server. */
export const createInjector =
  (options: InjectorOptions) =>
  (compiler: Compiler, proxyConfigs: () => ProxyConfigs): AdmitPod =>
  (admission) => {
    const { namespace, pod } = admission;
    const labels = (pod["metadata"] as { readonly labels?: Readonly<Record<string, string>> | null }).labels ?? {};
    const snapshot = compiler.snapshot();
    const { metadata } = snapshot.namespaces.get(namespace) ?? {};
    const result = injectPod({
      pod: pod as unknown as V1Pod,
      namespace: { name: namespace, labels: metadata?.labels ?? {}, annotations: metadata?.annotations ?? {} },
      revision: options.revision,
      ...options.injection(),
      cluster: options.cluster(snapshot),
      proxyConfigs: proxyConfigsFor(proxyConfigs(), { namespace, labels }, snapshot.mesh.rootNamespace),
    });
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
