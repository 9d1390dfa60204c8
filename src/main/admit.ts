import type { V1Pod } from "@kubernetes/client-node";
import type { AdmitPod } from "../admission/server.js";
import type { Compiler } from "../compile/compiler.js";
import { injectPod } from "../injection/inject.js";
import type { InjectionTemplate } from "../injection/template.js";
import type { InjectionCluster, InjectionValues } from "../injection/types.js";
import { type ProxyConfigs, proxyConfigsFor } from "../model/proxy-config.js";

export interface InjectorOptions {
  readonly revision: string;
  readonly template: () => InjectionTemplate;
  readonly values: InjectionValues;
  readonly cluster: InjectionCluster;
  /** Told of a pod that asked for a sidecar and is not to have one. */
  readonly skipped?: (namespace: string, pod: V1Pod, reason: string) => void;
}

/** Answers admission from the model's namespaces: no request waits for the API server. */
export const createInjector =
  (options: InjectorOptions) =>
  (compiler: Compiler, proxyConfigs: () => ProxyConfigs): AdmitPod =>
  ({ namespace, pod }) => {
    const labels = (pod["metadata"] as { readonly labels?: Readonly<Record<string, string>> | null }).labels ?? {};
    const { metadata } = compiler.snapshot().namespaces.get(namespace) ?? {};
    const result = injectPod({
      pod: pod as unknown as V1Pod,
      namespace: { name: namespace, labels: metadata?.labels ?? {}, annotations: metadata?.annotations ?? {} },
      revision: options.revision,
      template: options.template(),
      values: options.values,
      cluster: options.cluster,
      proxyConfigs: proxyConfigsFor(proxyConfigs(), { namespace, labels }, compiler.snapshot().mesh.rootNamespace),
    });
    switch (result.kind) {
      case "patched":
        return { allowed: true, patch: result.patch, warnings: result.warnings };
      case "skipped":
        if (result.asked) options.skipped?.(namespace, pod as unknown as V1Pod, result.reason);
        return { allowed: true };
      case "refused":
        return { allowed: false, code: 400, message: result.message };
    }
  };
