/** Manifests as users write them: nothing in them knows of a mesh. */
interface Workload {
  readonly name: string;
  readonly namespace: string;
  readonly replicas?: number;
  /** Of its pods, besides `app`. */
  readonly labels?: Readonly<Record<string, string>>;
  /** What the echo server says it is. */
  readonly version?: string;
  readonly container?: Readonly<Record<string, unknown>>;
  readonly spec?: Readonly<Record<string, unknown>>;
}

const deployment = (workload: Workload, container: Readonly<Record<string, unknown>>): unknown => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: workload.name, namespace: workload.namespace },
  spec: {
    replicas: workload.replicas ?? 1,
    selector: { matchLabels: { app: workload.name } },
    strategy: { rollingUpdate: { maxSurge: "25%", maxUnavailable: 0 } },
    template: {
      metadata: { labels: { app: workload.name, ...workload.labels } },
      spec: {
        serviceAccountName: workload.name,
        containers: [{ imagePullPolicy: "Never", ...container, ...workload.container }],
        ...workload.spec,
      },
    },
  },
});

const serviceAccount = (workload: Workload): unknown => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: { name: workload.name, namespace: workload.namespace },
});

export const namespace = (name: string): unknown => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } });

/** The echo server with its Service: 80 http, 9090 grpc, 7070 tcp. */
export const echo = (workload: Workload): readonly unknown[] => [
  serviceAccount(workload),
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: workload.name, namespace: workload.namespace },
    spec: {
      selector: { app: workload.name },
      ipFamilyPolicy: "PreferDualStack",
      ports: [
        { name: "http", port: 80, targetPort: "http" },
        { name: "grpc", port: 9090 },
        { name: "tcp", port: 7070 },
      ],
    },
  },
  deployment(workload, {
    name: "echo",
    image: "heddle/echo:dev",
    env: [
      { name: "SERVICE", value: workload.name },
      { name: "VERSION", value: workload.version ?? "v1" },
    ],
    ports: [{ name: "http", containerPort: 8080 }, { containerPort: 9090 }, { containerPort: 7070 }],
    readinessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 1 },
  }),
];

export const client = (workload: Workload): readonly unknown[] => [
  serviceAccount(workload),
  deployment(workload, { name: "client", image: "heddle/client:dev", args: ["wait"] }),
];

export const job = (name: string, inNamespace: string, commandArguments: readonly string[]): unknown => ({
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name, namespace: inNamespace },
  spec: {
    backoffLimit: 0,
    template: {
      metadata: { labels: { app: name } },
      spec: {
        restartPolicy: "Never",
        containers: [{ name, image: "heddle/client:dev", imagePullPolicy: "Never", args: commandArguments }],
      },
    },
  },
});
