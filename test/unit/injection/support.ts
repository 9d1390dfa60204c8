import { readFileSync } from "node:fs";
import type { V1Pod, V1PodSpec } from "@kubernetes/client-node";
import { injectPod } from "../../../src/injection/inject.js";
import { type InjectionTemplate, parseTemplate } from "../../../src/injection/template.js";
import type { InjectionRequest, InjectionResult } from "../../../src/injection/types.js";

export const templateText = readFileSync(new URL("../../../templates/sidecar.yaml", import.meta.url), "utf8");
export const template: InjectionTemplate = parseTemplate(templateText);

export const clusterSettings: InjectionRequest["cluster"] = {
  controlPlaneHost: "heddled.istio-system.svc",
  controlPlanePort: 15012,
  trustDomain: "cluster.local",
  clusterDomain: "cluster.local",
  clusterId: "Kubernetes",
  network: "",
  ipFamilies: ["IPv4"],
};

export type Patched = Extract<InjectionResult, { kind: "patched" }>;

export interface PodOptions {
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
  readonly spec?: Partial<V1PodSpec>;
  readonly metadata?: Partial<NonNullable<V1Pod["metadata"]>>;
}

export const samplePod = (options: PodOptions = {}): V1Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "web-0",
    namespace: "shop",
    labels: { app: "web", ...options.labels },
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
    ...options.metadata,
  },
  spec: {
    containers: [{ name: "app", image: "example/web:1", ports: [{ containerPort: 8080, name: "http" }] }],
    restartPolicy: "Always",
    ...options.spec,
  },
});

export const requestOf = (pod: V1Pod, changes: Partial<InjectionRequest> = {}): InjectionRequest => ({
  pod,
  namespace: { name: "shop", labels: { "istio-injection": "enabled" } },
  revision: "default",
  template,
  values: {
    proxyImage: "heddle/proxyv2:1",
    initImage: "heddle/proxyv2:1",
    resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "2", memory: "1Gi" } },
  },
  cluster: clusterSettings,
  ...changes,
});

export const inject = (pod: V1Pod, changes: Partial<InjectionRequest> = {}): InjectionResult =>
  injectPod(requestOf(pod, changes));

export const patched = (pod: V1Pod, changes: Partial<InjectionRequest> = {}): Patched => {
  const result = inject(pod, changes);
  if (result.kind !== "patched") throw new Error(`not patched: ${JSON.stringify(result)}`);
  return result;
};

export const refusal = (pod: V1Pod, changes: Partial<InjectionRequest> = {}): string => {
  const result = inject(pod, changes);
  if (result.kind !== "refused") throw new Error(`not refused: ${JSON.stringify(result).slice(0, 500)}`);
  return result.message;
};

export const container = (pod: V1Pod, name: string) => {
  const found = [...pod.spec!.containers, ...(pod.spec!.initContainers ?? [])].find((item) => item.name === name);
  if (found === undefined) throw new Error(`no container ${name}`);
  return found;
};

export const names = (items: readonly { readonly name?: string }[] | undefined) =>
  (items ?? []).map(({ name }) => name);
