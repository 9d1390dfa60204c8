import { error, member, show, warning } from "../findings.js";
import { type ConfigObject, defineKind, type Finding } from "../kind.js";
import { checkSelector } from "../names.js";
import { hasTargets } from "../security/target-refs.js";
import { attributes, tagValueOf } from "./tag-value.js";
import { spec, type TelemetrySpec } from "./telemetry-spec.js";

export type { TelemetrySpec } from "./telemetry-spec.js";
export type Telemetry = ConfigObject<TelemetrySpec>;

type MetricsRule = NonNullable<TelemetrySpec["metrics"]>[number];
type Override = NonNullable<MetricsRule["overrides"]>[number];
type AccessLoggingRule = NonNullable<TelemetrySpec["accessLogging"]>[number];

/** Providers that need no definition in the mesh's configuration. */
export const metricsProvider = "prometheus";
export const accessLogProvider = "envoy";

const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

const checkProviders = (path: string, providers: MetricsRule["providers"], known: string): readonly Finding[] =>
  (providers ?? []).flatMap(({ name }, index) =>
    name === known
      ? []
      : [
          warning(
            `${path}[${index}].name`,
            `${show(name)} is no provider of this version and gets nothing; use ${known}`,
          ),
        ],
  );

const checkTags = (path: string, tags: Override["tagOverrides"]): readonly Finding[] =>
  Object.entries(tags ?? {}).flatMap(([name, { operation = "UPSERT", value }]) => {
    const at = member(path, name);
    if (!labelName.test(name))
      return [error(at, `${show(name)} is no label's name; write letters, digits and _, and begin with a letter or _`)];
    if ((operation === "REMOVE") !== (value === undefined))
      return [error(at, "UPSERT needs a value, and REMOVE has none; correct one of both")];
    if (value === undefined || tagValueOf(value) !== undefined) return [];
    return [
      warning(
        `${at}.value`,
        `${show(value)} can't be worked out by the proxy, so the label stays as it is; use a text in quotes, request.headers['name'], response.headers['name'], ${attributes.join(", ")}`,
      ),
    ];
  });

const checkOverride = (path: string, { match, tagOverrides }: Override): readonly Finding[] => [
  ...(match?.metric !== undefined && match.customMetric !== undefined
    ? [error(`${path}.match`, "names metric and customMetric; give one of both")]
    : []),
  ...(match?.customMetric === undefined
    ? []
    : [
        warning(
          `${path}.match.customMetric`,
          `${show(match.customMetric)}: there are no metrics but Istio's; name one`,
        ),
      ]),
  ...(match?.metric?.startsWith("GRPC_")
    ? [warning(`${path}.match.metric`, `${show(match.metric)}: messages of gRPC are not counted in this version`)]
    : []),
  ...checkTags(`${path}.tagOverrides`, tagOverrides),
];

const checkMetrics = (path: string, rule: MetricsRule): readonly Finding[] => [
  ...checkProviders(`${path}.providers`, rule.providers, metricsProvider),
  ...(rule.overrides ?? []).flatMap((override, index) => checkOverride(`${path}.overrides[${index}]`, override)),
  ...(rule.reportingInterval === undefined
    ? []
    : [
        warning(
          `${path}.reportingInterval`,
          "has no effect: bytes of a connection are told of when it ends; remove it",
        ),
      ]),
];

const checkAccessLogging = (path: string, rule: AccessLoggingRule): readonly Finding[] => [
  ...checkProviders(`${path}.providers`, rule.providers, accessLogProvider),
  ...(rule.filter?.expression === undefined
    ? []
    : [warning(`${path}.filter.expression`, "has no effect in this version: everything is logged; remove it")]),
];

export const telemetry = defineKind({
  kind: "Telemetry",
  group: "telemetry.istio.io",
  plural: "telemetries",
  shortNames: ["telemetry"],
  versions: ["v1", "v1alpha1"],
  description:
    "What proxies tell of their traffic: metrics and access logs. What is for a workload comes after what is for its namespace, and that after what is for the mesh.",
  spec,
  rules: [
    {
      rule: "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + (has(self.targetRefs) && self.targetRefs.size() > 0 ? 1 : 0) <= 1",
      message: "give one of selector, targetRef and targetRefs",
    },
  ],
  printerColumns: [],
  check: ({ spec: own }) => [
    ...checkSelector("spec.selector", own.selector, "matchLabels"),
    ...(hasTargets(own)
      ? [warning("spec", "is for gateways, which this version does not run, and has no effect; use a selector")]
      : []),
    ...(own.tracing === undefined || own.tracing.length === 0
      ? []
      : [warning("spec.tracing", "has no effect in this version; remove it")]),
    ...(own.metrics ?? []).flatMap((rule, index) => checkMetrics(`spec.metrics[${index}]`, rule)),
    ...(own.accessLogging ?? []).flatMap((rule, index) => checkAccessLogging(`spec.accessLogging[${index}]`, rule)),
  ],
});
