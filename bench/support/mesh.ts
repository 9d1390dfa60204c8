import type { ObjectEvent, Pod } from "../../src/api/kubernetes.js";

export interface MeshShape {
  readonly services: number;
  /** Pods behind each service; every pod is an endpoint of one service, and may connect as a proxy. */
  readonly endpoints: number;
}

const namespaces = 20;
const httpPorts = [80, 8080, 9090] as const;
/** What a proxy of such a mesh asks for in RDS. */
export const routeNames: readonly string[] = httpPorts.map(String);

const address = (network: number, index: number): string =>
  `${network}.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;

export const namespaceOf = (service: number): string => `team-${service % namespaces}`;
export const podName = (service: number, endpoint: number): string => `app-${service}-${endpoint}`;

/** Of five services four speak HTTP, on one of three ports, and one TCP. */
const portOf = (service: number) =>
  service % 5 === 4 ? { name: "tcp-data", port: 3306 } : { name: "http", port: httpPorts[service % httpPorts.length]! };

const serviceEvent = (service: number): ObjectEvent => ({
  kind: "Service",
  namespace: namespaceOf(service),
  name: `app-${service}`,
  object: {
    metadata: { name: `app-${service}`, namespace: namespaceOf(service) },
    spec: {
      clusterIP: address(11, service + 1),
      clusterIPs: [address(11, service + 1)],
      selector: { app: `app-${service}` },
      ports: [{ ...portOf(service), protocol: "TCP", targetPort: 8080 }],
    },
  },
});

/** The service's endpoints; `extra` more than its pods, to change it with. */
export const sliceEvent = (shape: MeshShape, service: number, extra = 0): ObjectEvent => ({
  kind: "EndpointSlice",
  namespace: namespaceOf(service),
  name: `app-${service}-slice`,
  object: {
    metadata: {
      name: `app-${service}-slice`,
      namespace: namespaceOf(service),
      labels: { "kubernetes.io/service-name": `app-${service}` },
    },
    addressType: "IPv4",
    ports: [{ name: portOf(service).name, port: 8080, protocol: "TCP" }],
    endpoints: Array.from({ length: shape.endpoints + extra }, (_, endpoint) => ({
      addresses: [endpoint < shape.endpoints ? podAddress(shape, service, endpoint) : address(12, service)],
      conditions: { ready: true },
      ...(endpoint < shape.endpoints ? { targetRef: { kind: "Pod", name: podName(service, endpoint) } } : {}),
    })),
  },
});

const podAddress = (shape: MeshShape, service: number, endpoint: number): string =>
  address(10, service * shape.endpoints + endpoint + 1);

const podEvent = (shape: MeshShape, service: number, endpoint: number): ObjectEvent => {
  const namespace = namespaceOf(service);
  const name = podName(service, endpoint);
  const ip = podAddress(shape, service, endpoint);
  const pod: Pod = {
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      labels: { app: `app-${service}`, "security.istio.io/tlsMode": "istio", "istio.io/rev": "default" },
    },
    spec: { serviceAccountName: `app-${service}`, containers: [{ name: "app" }, { name: "istio-proxy" }] },
    status: { podIP: ip, podIPs: [{ ip }], phase: "Running" },
  };
  return { kind: "Pod", namespace, name, object: pod };
};

export const meshEvents = (shape: MeshShape): readonly ObjectEvent[] => [
  ...Array.from(
    { length: namespaces },
    (_, index): ObjectEvent => ({
      kind: "Namespace",
      namespace: "",
      name: namespaceOf(index),
      object: { metadata: { name: namespaceOf(index), labels: { "istio-injection": "enabled" } } },
    }),
  ),
  ...Array.from({ length: shape.services }, (_, service) => [
    serviceEvent(service),
    sliceEvent(shape, service),
    ...Array.from({ length: shape.endpoints }, (_, endpoint) => podEvent(shape, service, endpoint)),
  ]).flat(),
];
