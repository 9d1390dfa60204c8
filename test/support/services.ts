import { outboundClusterName } from "../../src/compile/clusters/names.js";
import { permissive } from "../../src/model/peer-authentication.js";
import type { Endpoint, MeshService, ServicePort } from "../../src/model/service.js";

export const servicePort = (fields: Partial<ServicePort> = {}): ServicePort => ({
  name: "http",
  port: 80,
  protocol: "http",
  targetPort: 80,
  isTls: false,
  ...fields,
});

export const meshService = (fields: Partial<MeshService> = {}): MeshService => {
  const { name = "reviews", namespace = "prod" } = fields;
  return {
    key: `${namespace}/${name}`,
    origin: "Service",
    namespace,
    name,
    host: `${name}.${namespace}.svc.cluster.local`,
    addresses: ["10.96.0.1"],
    ports: [servicePort()],
    selector: {},
    resolution: "eds",
    isHeadless: false,
    externalName: undefined,
    clientAffinity: false,
    isExternal: false,
    subjectAltNames: [],
    trafficDistribution: undefined,
    persistentSession: undefined,
    exportTo: new Set(["*"]),
    createdAt: "",
    ...fields,
  };
};

export const endpoint = (address: string, port: number, fields: Partial<Endpoint> = {}): Endpoint => ({
  address,
  ports: new Map([["http", port]]),
  isInMesh: false,
  mtls: permissive,
  namespace: "prod",
  serviceAccount: undefined,
  podName: undefined,
  labels: {},
  region: "",
  zone: "",
  subzone: "",
  nodeName: undefined,
  isDraining: false,
  weight: 1,
  ...fields,
});

export const clusterNameOf = (service: MeshService, port: ServicePort, subset = ""): string =>
  outboundClusterName(service.host, port.port, subset);
