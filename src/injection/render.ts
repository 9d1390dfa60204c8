import type { V1Container, V1Pod, V1ResourceRequirements } from "@kubernetes/client-node";
import type { AnnotationSettings } from "./annotations.js";
import { renderBootstrap } from "./bootstrap.js";
import type { AppProbe } from "./probes.js";
import type { ProxySettings } from "./proxy-config.js";
import { renderRedirect, renderTproxyRoutes } from "./redirect.js";
import { threadsFor } from "./resources.js";
import { initSecurityContext, type ProxyUser } from "./security.js";
import type { InjectionRequest } from "./types.js";
import { canonicalName, canonicalRevision } from "./workload.js";

type Mode = "REDIRECT" | "TPROXY";

const listOf = <Item>(value: "*" | readonly Item[] | undefined, fallback: readonly string[]): readonly string[] =>
  value === undefined ? fallback : value === "*" ? ["*"] : value.map(String);

/** Command and arguments of istio-init. */
export const renderRules = (
  settings: AnnotationSettings,
  mode: Mode,
  user: ProxyUser,
): { readonly command: readonly string[]; readonly args: readonly string[] } =>
  renderRedirect({
    mode,
    proxyUserId: user.redirectUid,
    proxyGroupId: user.gid,
    includeInboundPorts: listOf(settings.includeInboundPorts, ["*"]),
    excludeInboundPorts: settings.excludeInboundPorts ?? [],
    includeOutboundPorts: settings.includeOutboundPorts ?? [],
    excludeOutboundPorts: settings.excludeOutboundPorts ?? [],
    includeOutboundIpRanges: listOf(settings.includeOutboundIPRanges, ["*"]),
    excludeOutboundIpRanges: settings.excludeOutboundIPRanges ?? [],
    excludeInterfaces: settings.excludeInterfaces ?? [],
  });

/** The further init containers of TPROXY: the packets that the rules mark need a route to the proxy. */
export const routesContainers = (
  mode: Mode,
  ipFamilies: InjectionRequest["cluster"]["ipFamilies"],
  image: string,
  resources: V1ResourceRequirements,
): readonly V1Container[] =>
  (mode === "TPROXY" ? ipFamilies : []).map((family) => {
    const { command, args } = renderTproxyRoutes(family);
    return {
      name: `istio-init-routes-${family.toLowerCase()}`,
      image,
      command: [...command],
      args: [...args],
      resources,
      securityContext: initSecurityContext,
    };
  });

/** Threads as asked for, else as the CPU limit allows, else 2, as in Istio; 0 leaves it to Envoy: one for each core. */
const concurrencyArguments = (proxy: ProxySettings, resources: V1ResourceRequirements): readonly string[] => {
  const threads = proxy.concurrency ?? threadsFor(resources) ?? 2;
  return threads === 0 ? [] : ["--concurrency", String(threads)];
};

export interface ArgumentsInput {
  readonly mode: Mode;
  readonly resources: V1ResourceRequirements;
  readonly probes: readonly AppProbe[];
}

/** Envoy's arguments, with the bootstrap. Every text of a user in them is escaped or of a form without `$`. */
export const renderArguments = (
  request: InjectionRequest,
  pod: V1Pod,
  settings: AnnotationSettings,
  proxy: ProxySettings,
  { mode, resources, probes }: ArgumentsInput,
): readonly string[] => {
  const bootstrap = renderBootstrap({
    ...request.cluster,
    interceptionMode: mode,
    canonicalName: canonicalName(pod),
    canonicalRevision: canonicalRevision(pod),
    proxyMetadata: proxy.proxyMetadata ?? {},
    probes,
    statsInclusionPrefixes: [...(proxy.statsInclusionPrefixes ?? []), ...(settings.statsInclusionPrefixes ?? [])],
    statsInclusionSuffixes: [...(proxy.statsInclusionSuffixes ?? []), ...(settings.statsInclusionSuffixes ?? [])],
    statsInclusionRegexps: [...(proxy.statsInclusionRegexps ?? []), ...(settings.statsInclusionRegexps ?? [])],
  });
  return [
    "--config-yaml",
    bootstrap,
    ...concurrencyArguments(proxy, resources),
    "--log-level",
    settings.logLevel ?? request.values.logLevel ?? "warning",
    "--component-log-level",
    // Of Wasm there is only the module that is not there.
    settings.componentLogLevel ?? "misc:error,wasm:off",
    "--drain-time-s",
    String(proxy.drainSeconds ?? 45),
    "--drain-strategy",
    "immediate",
    // One Envoy a pod, and no shared memory to write to.
    "--disable-hot-restart",
  ];
};
