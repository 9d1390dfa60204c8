/** Texts of Kubernetes objects for `startMesh` and `apply`: JSON is YAML. */
const text = (...objects: readonly object[]): string => objects.map((object) => JSON.stringify(object)).join("\n---\n");

export interface EchoOptions {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Environment of the sample application: VERSION, SERVICE, … */
  readonly env?: Readonly<Record<string, string>>;
  readonly serviceAccount?: string;
  readonly spec?: object;
  readonly container?: object;
}

/** A pod of the sample application, labelled `app: <app>`; its ports are those of deploy/samples/echo/server.ts. */
export const echoPod = (name: string, app: string, options: EchoOptions = {}): string => {
  const { namespace = "default", labels, annotations, env = {}, serviceAccount = app, spec, container } = options;
  return text({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app, ...labels }, ...(annotations && { annotations }) },
    spec: {
      serviceAccountName: serviceAccount,
      containers: [
        {
          name: "echo",
          image: "heddle/echo",
          env: Object.entries({ POD_NAME: name, ...env }).map(([key, value]) => ({ name: key, value })),
          readinessProbe: { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1 },
          ...container,
        },
      ],
      ...spec,
    },
  });
};

export interface ServiceOptions {
  readonly namespace?: string;
  readonly selector?: Readonly<Record<string, string>>;
  readonly spec?: object;
}

/** By name: port, and the application's port. Names declare protocols, as in Istio. */
export type Ports = Readonly<Record<string, readonly [port: number, targetPort: number | string]>>;

export const echoPorts: Ports = {
  http: [80, 8080],
  http2: [81, 8081],
  grpc: [9090, 9090],
  tcp: [7070, 7070],
  "tcp-greeting": [7071, 7071],
};

export const service = (name: string, ports: Ports = echoPorts, options: ServiceOptions = {}): string => {
  const { namespace = "default", selector = { app: name }, spec } = options;
  return text({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: {
      selector,
      ports: Object.entries(ports).map(([port, [number, targetPort]]) => ({ name: port, port: number, targetPort })),
      ...spec,
    },
  });
};

/** One namespace with its labels; a namespace that no text declares is labelled for injection. */
export const namespace = (name: string, labels: Readonly<Record<string, string>> = {}): string =>
  text({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });

export const join = (...texts: readonly string[]): string => texts.join("\n---\n");
