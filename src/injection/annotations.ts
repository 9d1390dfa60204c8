import type { Parser } from "./parsers.js";
import * as parse from "./parsers.js";
import { parseProxyConfig, proxyConfigFields } from "./proxy-config.js";
import { quoted, refuse, shortened } from "./refusal.js";

/** One annotation of a pod: what it is called, what it may hold, what to do about a wrong value, what it means. */
export interface AnnotationRule<Value> {
  readonly name: string;
  readonly parse: Parser<Value>;
  readonly cure: string;
  /** What holds without it, for the documentation. */
  readonly default: string;
  readonly description: string;
}

const rule = <Value>(
  name: string,
  parser: Parser<Value>,
  cure: string,
  defaultText: string,
  description: string,
): AnnotationRule<Value> => ({ name, parse: parser, cure, default: defaultText, description });

const unsupported =
  (why: string): Parser<never> =>
  () => {
    throw new Error(why);
  };

const portsCure = 'give port numbers separated by commas, such as "8080,9090"';
const portsOrAllCure = `${portsCure}, "*" for all or "" for none`;
const rangesCure = 'give IP ranges separated by commas, such as "10.96.0.0/12,fd00::/8"';
const secondsCure = "give a whole number of seconds";
const cpuCure = 'give a Kubernetes quantity of CPU, such as "100m" or "2"';
const memoryCure = 'give a Kubernetes quantity of memory, such as "128Mi"';
const booleanCure = 'write "true" or "false"';

export const annotations = {
  inject: rule(
    "sidecar.istio.io/inject",
    parse.boolean,
    booleanCure,
    "as the namespace's labels say",
    "Whether this pod gets a sidecar. The label of the same name beats it, and is what to use in a namespace without a label: the API server asks the mesh by labels only.",
  ),
  templates: rule(
    "inject.istio.io/templates",
    parse.oneOf("sidecar"),
    'remove it or write "sidecar", the only template',
    "`sidecar`",
    "The template to inject.",
  ),
  proxyImage: rule(
    "sidecar.istio.io/proxyImage",
    parse.image,
    'give an image reference, such as "registry.example/heddle/proxyv2:1.0"',
    "the mesh's",
    "Image of the proxy and of the init container.",
  ),
  proxyCPU: rule("sidecar.istio.io/proxyCPU", parse.quantity, cpuCure, "the mesh's", "CPU request of the proxy."),
  proxyCPULimit: rule(
    "sidecar.istio.io/proxyCPULimit",
    parse.quantity,
    cpuCure,
    "the mesh's",
    "CPU limit of the proxy; without `concurrency` it also gives the number of worker threads.",
  ),
  proxyMemory: rule(
    "sidecar.istio.io/proxyMemory",
    parse.quantity,
    memoryCure,
    "the mesh's",
    "Memory request of the proxy.",
  ),
  proxyMemoryLimit: rule(
    "sidecar.istio.io/proxyMemoryLimit",
    parse.quantity,
    memoryCure,
    "the mesh's",
    "Memory limit of the proxy.",
  ),
  logLevel: rule(
    "sidecar.istio.io/logLevel",
    parse.logLevel,
    "use one of Envoy's levels: trace, debug, info, warning, error, critical, off",
    "`warning`",
    "Log level of the proxy.",
  ),
  componentLogLevel: rule(
    "sidecar.istio.io/componentLogLevel",
    parse.componentLogLevel,
    'give component:level pairs separated by commas, such as "misc:error,rbac:debug"',
    "`misc:error,wasm:off`",
    "Log levels of the proxy's components.",
  ),
  includeInboundPorts: rule(
    "traffic.sidecar.istio.io/includeInboundPorts",
    parse.portsOrAll,
    portsOrAllCure,
    "`*`",
    "Inbound ports that go through the proxy.",
  ),
  excludeInboundPorts: rule(
    "traffic.sidecar.istio.io/excludeInboundPorts",
    parse.ports,
    portsCure,
    "none",
    "Inbound ports that bypass the proxy.",
  ),
  includeOutboundPorts: rule(
    "traffic.sidecar.istio.io/includeOutboundPorts",
    parse.ports,
    portsCure,
    "none",
    "Outbound ports that go through the proxy whatever the address.",
  ),
  excludeOutboundPorts: rule(
    "traffic.sidecar.istio.io/excludeOutboundPorts",
    parse.ports,
    portsCure,
    "none",
    "Outbound ports that bypass the proxy.",
  ),
  includeOutboundIPRanges: rule(
    "traffic.sidecar.istio.io/includeOutboundIPRanges",
    parse.rangesOrAll,
    `${rangesCure}, "*" for all or "" for none`,
    "`*`",
    "Addresses whose outbound traffic goes through the proxy.",
  ),
  excludeOutboundIPRanges: rule(
    "traffic.sidecar.istio.io/excludeOutboundIPRanges",
    parse.ranges,
    rangesCure,
    "none",
    "Addresses whose outbound traffic bypasses the proxy.",
  ),
  excludeInterfaces: rule(
    "traffic.sidecar.istio.io/excludeInterfaces",
    parse.interfaces,
    'give names of network interfaces separated by commas, such as "eth1,net1"',
    "none",
    "Network interfaces of the pod whose traffic bypasses the proxy.",
  ),
  interceptionMode: rule(
    "sidecar.istio.io/interceptionMode",
    (text) =>
      text === "NONE"
        ? unsupported("NONE needs the mesh's CNI plugin, which does not exist yet")(text)
        : parse.oneOf("REDIRECT", "TPROXY")(text),
    'write "REDIRECT" or "TPROXY"; both need an init container with NET_ADMIN. Where pods may not have it, exempt the namespace, or leave the pod outside the mesh with the label sidecar.istio.io/inject: "false"',
    "`REDIRECT`",
    "How traffic gets to the proxy. `TPROXY` keeps the client's address for the application.",
  ),
  nativeSidecar: rule(
    "sidecar.istio.io/nativeSidecar",
    parse.boolean,
    booleanCure,
    "`true` for Jobs and other pods that end, or with `holdApplicationUntilProxyStarts`; else `false`",
    "Whether the proxy is an init container with `restartPolicy: Always`, started before the application and ended after it, instead of an ordinary container.",
  ),
  rewriteAppHTTPProbers: rule(
    "sidecar.istio.io/rewriteAppHTTPProbers",
    parse.boolean,
    booleanCure,
    "`true`",
    "Whether the kubelet's probes go through the proxy's port 15020. Without it they need plain text to be allowed.",
  ),
  readinessInitialDelaySeconds: rule(
    "readiness.status.sidecar.istio.io/initialDelaySeconds",
    parse.integer(0, 86400),
    secondsCure,
    "`1`",
    "Delay before the first readiness probe of the proxy.",
  ),
  readinessPeriodSeconds: rule(
    "readiness.status.sidecar.istio.io/periodSeconds",
    parse.integer(1, 86400),
    `${secondsCure}, 1 or more`,
    "`15`",
    "Time between two readiness probes of the proxy.",
  ),
  readinessFailureThreshold: rule(
    "readiness.status.sidecar.istio.io/failureThreshold",
    parse.integer(1, 100000),
    "give a whole number, 1 or more",
    "`4`",
    "Failed readiness probes after which the proxy counts as not ready.",
  ),
  statusPort: rule(
    "status.sidecar.istio.io/port",
    parse.oneOf("15020"),
    "remove it: the port is always 15020",
    "`15020`",
    "Port that answers the application's probes.",
  ),
  statsInclusionPrefixes: rule(
    "sidecar.istio.io/statsInclusionPrefixes",
    parse.names,
    'give prefixes of metric names separated by commas, such as "cluster.outbound,listener"',
    "none",
    "Further metrics of the proxy, by the start of their name.",
  ),
  statsInclusionSuffixes: rule(
    "sidecar.istio.io/statsInclusionSuffixes",
    parse.names,
    'give suffixes of metric names separated by commas, such as "upstream_rq_timeout"',
    "none",
    "Further metrics of the proxy, by the end of their name.",
  ),
  statsInclusionRegexps: rule(
    "sidecar.istio.io/statsInclusionRegexps",
    parse.patterns,
    "give regular expressions in RE2 syntax separated by commas",
    "none",
    "Further metrics of the proxy, by regular expressions.",
  ),
  userVolume: rule(
    "sidecar.istio.io/userVolume",
    parse.namedObjects,
    'give a JSON array of volumes, such as [{"name":"cache","emptyDir":{}}]',
    "none",
    "Volumes to add to the pod for the proxy.",
  ),
  userVolumeMount: rule(
    "sidecar.istio.io/userVolumeMount",
    parse.volumeMounts,
    'give a JSON array of volume mounts, such as [{"name":"cache","mountPath":"/var/cache"}]',
    "none",
    "Volume mounts to add to the proxy.",
  ),
  proxyConfig: rule(
    "proxy.istio.io/config",
    parseProxyConfig,
    `give a YAML object with the fields of ProxyConfig that injection honours: ${[...proxyConfigFields.keys()].join(", ")}`,
    "the mesh's `defaultConfig`",
    "Settings of this pod's proxy, see below.",
  ),
  bootstrapOverride: rule(
    "sidecar.istio.io/bootstrapOverride",
    unsupported("a bootstrap of one's own is not supported"),
    "remove it: the mesh makes the bootstrap. The container istio-proxy can be changed in the pod itself, and the template by the operator",
    "",
    "Refused: the mesh makes the bootstrap.",
  ),
  discoveryAddress: rule(
    "sidecar.istio.io/discoveryAddress",
    unsupported("a pod cannot choose its control plane by address"),
    "remove it, and choose the control plane by the label istio.io/rev",
    "",
    "Refused: the proxy's token goes to the mesh's own control plane only.",
  ),
  enableCoreDump: rule(
    "sidecar.istio.io/enableCoreDump",
    (text) => (parse.boolean(text) ? unsupported("core dumps are not supported")(text) : false),
    'remove it or write "false"',
    "`false`",
    "Core dumps of the proxy; `true` is refused.",
  ),
  kubevirtInterfaces: rule(
    "traffic.sidecar.istio.io/kubevirtInterfaces",
    unsupported("virtual machines inside pods are not supported"),
    'remove it, or leave the pod outside the mesh with the label sidecar.istio.io/inject: "false"',
    "",
    "Refused: virtual machines inside pods are not supported.",
  ),
  rerouteVirtualInterfaces: rule(
    "istio.io/reroute-virtual-interfaces",
    unsupported("virtual machines inside pods are not supported"),
    'remove it, or leave the pod outside the mesh with the label sidecar.istio.io/inject: "false"',
    "",
    "Refused, as the one above.",
  ),
} as const satisfies Record<string, AnnotationRule<unknown>>;

type Rules = typeof annotations;

/** The values of the annotations a pod has, by the table's keys. */
export type AnnotationSettings = {
  readonly [Key in keyof Rules]?: Rules[Key] extends AnnotationRule<infer Value> ? Value : never;
};

/** Annotations of Istio that pods carry and that change nothing here: name to reason. */
export const withoutEffect: ReadonlyMap<string, string> = new Map([
  ["sidecar.istio.io/agentLogLevel", "there is no agent beside Envoy"],
  ["sidecar.istio.io/controlPlaneAuthPolicy", "the control plane is always spoken to over TLS"],
  ["readiness.status.sidecar.istio.io/applicationPorts", "the proxy is ready when it has its configuration"],
  ["sidecar.istio.io/proxyImageType", "the mesh has one image of the proxy"],
  ["sidecar.istio.io/extraStatTags", "tags of metrics come from the Telemetry kind"],
  ["sidecar.istio.io/statsHistogramBuckets", "histogram buckets are those of Envoy"],
  ["sidecar.istio.io/statsCompression", "Envoy compresses metrics when the scraper accepts it"],
  ["prometheus.istio.io/merge-metrics", "the application and the proxy are scraped on their own ports"],
]);

/** Written by injection itself, never by the user. */
export const written = {
  status: "sidecar.istio.io/status",
  overrides: "proxy.istio.io/overrides",
  originals: "injection.heddle.io/originals",
} as const;

const ownPrefix = /^((traffic|status|readiness\.status)\.)?sidecar\.istio\.io\/|^(proxy|inject)\.istio\.io\//;
const entries: readonly (readonly [string, AnnotationRule<unknown>])[] = Object.entries(annotations);
const known: ReadonlyMap<string, readonly [string, AnnotationRule<unknown>]> = new Map(
  entries.map((entry) => [entry[1].name, entry]),
);
const writtenNames: ReadonlySet<string> = new Set(Object.values(written));

/** Throws InjectionRefusal, naming annotation, value and cure. */
export const readAnnotation = <Value>(rule: AnnotationRule<Value>, text: string, on = "annotation"): Value => {
  try {
    return rule.parse(text);
  } catch (error) {
    return refuse(`${on} ${rule.name}: ${quoted(text)}: ${shortened((error as Error).message)}; ${rule.cure}`);
  }
};

/**
 * Reads every annotation of a pod that is meant for the mesh. Throws InjectionRefusal for the first bad one. Warnings
 * are for annotations that look meant for the mesh and have no effect.
 */
export const readAnnotations = (
  texts: Readonly<Record<string, string>>,
): { readonly settings: AnnotationSettings; readonly warnings: readonly string[] } => {
  const settings: Record<string, unknown> = {};
  const warnings: string[] = [];
  for (const [name, text] of Object.entries(texts)) {
    const entry = known.get(name);
    if (entry !== undefined) settings[entry[0]] = readAnnotation(entry[1], text);
    else if (withoutEffect.has(name)) warnings.push(`annotation ${name} has no effect: ${withoutEffect.get(name)}`);
    else if (ownPrefix.test(name) && !writtenNames.has(name))
      warnings.push(`annotation ${name} is not known and has no effect`);
  }
  return { settings: settings as AnnotationSettings, warnings };
};
