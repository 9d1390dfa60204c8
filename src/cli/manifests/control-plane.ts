import { injectionConfiguration, meshConfiguration } from "./configuration.js";
import { type Context, labelsOf, type Manifest, namespace } from "./context.js";

export const ports = [
  { name: "https-webhook", port: 443, targetPort: 15017, appProtocol: "https" },
  { name: "grpc-xds", port: 15012, targetPort: 15012, appProtocol: "tls" },
  { name: "http-monitoring", port: 15014, targetPort: 15014, appProtocol: "http" },
] as const;

export const selectorOf = ({ values }: Context) => ({ app: "heddled", "istio.io/rev": values.revision });

const metadataOf = (context: Context) => ({
  name: `heddled${context.suffix}`,
  namespace,
  labels: { ...labelsOf(context), app: "heddled" },
});

export const service = (context: Context): Manifest => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: metadataOf(context),
  spec: {
    type: "ClusterIP",
    ipFamilyPolicy: "PreferDualStack",
    selector: selectorOf(context),
    ports: ports.map((port) => ({ ...port, protocol: "TCP" })),
  },
});

export const disruptionBudget = (context: Context): Manifest => ({
  apiVersion: "policy/v1",
  kind: "PodDisruptionBudget",
  metadata: metadataOf(context),
  spec: { minAvailable: 1, selector: { matchLabels: selectorOf(context) } },
});

const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });

const environment = (context: Context): readonly object[] => {
  const { values, suffix } = context;
  return [
    field("POD_NAME", "metadata.name"),
    field("POD_NAMESPACE", "metadata.namespace"),
    field("POD_IP", "status.podIP"),
    { name: "REVISION", value: values.revision },
    { name: "SERVICE_NAME", value: `heddled${suffix}` },
    { name: "WEBHOOK_CONFIGURATION", value: `heddle-sidecar-injector${suffix}` },
    { name: "VALIDATION_CONFIGURATION", value: `heddle-validator${suffix}` },
    { name: "CLUSTER_ID", value: values.cluster.id },
    { name: "CLUSTER_DOMAIN", value: values.cluster.domain },
    { name: "NETWORK", value: values.cluster.network },
    { name: "WORKLOAD_CERTIFICATE_LIFETIME", value: values.certificates.workloadLifetime },
    { name: "ROOT_LIFETIME", value: values.certificates.rootLifetime },
    { name: "ROOT_ROTATE_BEFORE", value: values.certificates.rotateRootBefore },
    { name: "CERTIFICATE_SOURCE", value: values.certificates.source },
    { name: "SPIRE_NODE_FOLDER", value: values.certificates.spireNodeFolder },
    { name: "LOG_LEVEL", value: values.controlPlane.logLevel },
  ];
};

const probe = (path: string, settings: object) => ({
  httpGet: { path, port: 15014, scheme: "HTTP" },
  timeoutSeconds: 5,
  ...settings,
});

const container = (context: Context): object => ({
  name: "heddled",
  image: `${context.values.hub}/heddled:${context.values.tag}`,
  imagePullPolicy: context.values.imagePullPolicy,
  ports: ports.map(({ name, targetPort }) => ({ name, containerPort: targetPort, protocol: "TCP" })),
  env: environment(context),
  resources: context.values.controlPlane.resources,
  startupProbe: probe("/healthz", { periodSeconds: 1, failureThreshold: 120 }),
  readinessProbe: probe("/ready", { periodSeconds: 3, failureThreshold: 3 }),
  livenessProbe: probe("/healthz", { periodSeconds: 10, failureThreshold: 6 }),
  securityContext: {
    allowPrivilegeEscalation: false,
    capabilities: { drop: ["ALL"] },
    privileged: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    runAsUser: 65532,
    runAsGroup: 65532,
    seccompProfile: { type: "RuntimeDefault" },
  },
  volumeMounts: [
    { name: "mesh", mountPath: "/etc/istio/config", readOnly: true },
    { name: "injection", mountPath: "/etc/istio/inject", readOnly: true },
  ],
});

const spread = (context: Context, topologyKey: string): object => ({
  maxSkew: 1,
  topologyKey,
  whenUnsatisfiable: "ScheduleAnyway",
  labelSelector: { matchLabels: selectorOf(context) },
});

export const deployment = (context: Context): Manifest => {
  const { values, suffix } = context;
  const mesh = meshConfiguration(context).data;
  const injection = injectionConfiguration(context).data;
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: metadataOf(context),
    spec: {
      replicas: values.controlPlane.replicas,
      revisionHistoryLimit: 3,
      // The new one serves before an old one goes.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      selector: { matchLabels: selectorOf(context) },
      template: {
        metadata: {
          labels: { ...labelsOf(context), app: "heddled", "sidecar.istio.io/inject": "false" },
          annotations: {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": "15014",
            "prometheus.io/path": "/metrics",
            // Changed configuration replaces the pods.
            "heddle.io/mesh-digest": context.digest(mesh["mesh"]!),
            "heddle.io/issuer-authorities-digest": context.digest(mesh["issuerAuthorities"]!),
            "heddle.io/injection-digest": context.digest(injection["values"]!),
            "heddle.io/template-digest": context.digest(`${injection["config"]}\n${injection["overlays"]}`),
          },
        },
        spec: {
          serviceAccountName: `heddled${suffix}`,
          automountServiceAccountToken: true,
          enableServiceLinks: false,
          imagePullSecrets: values.imagePullSecrets,
          nodeSelector: values.controlPlane.nodeSelector,
          tolerations: values.controlPlane.tolerations,
          terminationGracePeriodSeconds: 30,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65532,
            runAsGroup: 65532,
            fsGroup: 65532,
            seccompProfile: { type: "RuntimeDefault" },
          },
          topologySpreadConstraints: [
            spread(context, "kubernetes.io/hostname"),
            spread(context, "topology.kubernetes.io/zone"),
          ],
          containers: [container(context)],
          volumes: [
            { name: "mesh", configMap: { name: `istio${suffix}` } },
            { name: "injection", configMap: { name: `istio-sidecar-injector${suffix}` } },
          ],
        },
      },
    },
  };
};
