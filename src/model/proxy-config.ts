import type { ObjectEvent } from "../api/kubernetes.js";
import type { ProxyConfig, ProxyConfigSpec } from "../api/networking/proxy-config.js";
import { byAge } from "./age.js";
import { type Labels, selects } from "./selector.js";

/** By `namespace/name`, oldest first. Never changed in place. */
export type ProxyConfigs = ReadonlyMap<string, ProxyConfig>;

export const noProxyConfigs: ProxyConfigs = new Map();

/** The configurations after the events: the same map if none of them is about one. */
export const withProxyConfigs = (before: ProxyConfigs, events: readonly ObjectEvent[]): ProxyConfigs => {
  const own = events.filter((event) => event.kind === "ProxyConfig");
  if (own.length === 0) return before;
  const after = new Map(before);
  for (const { namespace, name, object } of own)
    if (object === undefined) after.delete(`${namespace}/${name}`);
    else after.set(`${namespace}/${name}`, object);
  return new Map([...after].sort(([, one], [, other]) => byAge(one, other)));
};

/** What concerns one pod, the later of these under the earlier, and the pod's annotation between the first two. */
export interface ProxyConfigLevels {
  /** Selects the pod by its labels. */
  readonly workload: ProxyConfigSpec | undefined;
  /** For the pod's namespace as a whole. */
  readonly namespace: ProxyConfigSpec | undefined;
  /** For the mesh, from its root namespace. */
  readonly mesh: ProxyConfigSpec | undefined;
}

const selectorOf = ({ spec }: ProxyConfig): Labels => spec.selector?.matchLabels ?? {};

/** Of several on one level the oldest counts. */
export const proxyConfigsFor = (
  configs: ProxyConfigs,
  pod: { readonly namespace: string; readonly labels: Labels },
  rootNamespace: string,
): ProxyConfigLevels => {
  const oldestFirst = [...configs.values()];
  const general = (namespace: string): ProxyConfigSpec | undefined =>
    oldestFirst.find(
      (config) => config.metadata?.namespace === namespace && Object.keys(selectorOf(config)).length === 0,
    )?.spec;
  const workload = oldestFirst.find(
    (config) => config.metadata?.namespace === pod.namespace && selects(selectorOf(config), pod.labels),
  );
  return { workload: workload?.spec, namespace: general(pod.namespace), mesh: general(rootNamespace) };
};
