import { type MtlsModes, modeOfPort } from "./peer-authentication.js";
import type { Protocol } from "./protocol.js";

export interface ServicePort {
  readonly name: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** Number or name of the container's port. */
  readonly targetPort: number | string;
  /** Declared as TLS that the application itself speaks (`https`, `tls`): routed by SNI, never opened. */
  readonly isTls: boolean;
}

/**
 * How a proxy finds the endpoints: told by the control plane (`eds`), the address that the application called
 * (`original-destination`: headless Services, ServiceEntry NONE), or a DNS name, all of its addresses (`dns`), the first
 * one (`dns-round-robin`) or whatever host the request names (`dynamic-dns`).
 */
export type Resolution = "eds" | "original-destination" | "dns" | "dns-round-robin" | "dynamic-dns";

/** How near endpoints are to be preferred, as Kubernetes names it. */
export type TrafficDistribution = "PreferClose" | "PreferSameZone" | "PreferSameNode";

/** How a client is kept at the endpoint of its first answer: by a cookie, or a header, that the proxy sets. */
export type PersistentSession =
  | { readonly by: "cookie"; readonly name: string; readonly path: string }
  | { readonly by: "header"; readonly name: string };

/** A Service, or one host of a ServiceEntry, as the mesh sees it. */
export interface MeshService {
  /** `namespace/name` of a Service; `namespace/name/host` of a ServiceEntry. */
  readonly key: string;
  readonly origin: "Service" | "ServiceEntry";
  readonly namespace: string;
  readonly name: string;
  /** `<name>.<namespace>.svc.<clusterDomain>` of a Service. A ServiceEntry's may begin with `*.`. */
  readonly host: string;
  /** Virtual addresses, for a ServiceEntry also CIDR ranges; none for headless and ExternalName. */
  readonly addresses: readonly string[];
  readonly ports: readonly ServicePort[];
  readonly selector: Readonly<Record<string, string>>;
  readonly resolution: Resolution;
  readonly isHeadless: boolean;
  readonly externalName: string | undefined;
  readonly clientAffinity: boolean;
  /** Outside the mesh: its endpoints are never sent the mesh's mutual TLS. */
  readonly isExternal: boolean;
  /** What a server of this host must present, where a DestinationRule does not say. */
  readonly subjectAltNames: readonly string[];
  /** Undefined: near and far are alike, unless a DestinationRule or the mesh says otherwise. */
  readonly trafficDistribution: TrafficDistribution | undefined;
  readonly persistentSession: PersistentSession | undefined;
  /** Namespaces of the proxies that see it; `*` for all. */
  readonly exportTo: ReadonlySet<string>;
  /** RFC 3339, "" if not known: the older wins a conflict. */
  readonly createdAt: string;
}

/** One workload, or one address outside, that a service leads to. */
export interface Endpoint {
  /** An IP address, for DNS resolution a name, or a path of a Unix domain socket beginning with `unix://`. */
  readonly address: string;
  /** Port numbers by service port name. */
  readonly ports: ReadonlyMap<string, number>;
  /** Whether it holds a certificate of the mesh. */
  readonly isInMesh: boolean;
  /** What its ports take, if it is in the mesh. */
  readonly mtls: MtlsModes;
  readonly namespace: string;
  readonly serviceAccount: string | undefined;
  readonly podName: string | undefined;
  /** Of the pod or WorkloadEntry; subsets choose by them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
  readonly nodeName: string | undefined;
  /** On its way out: it finishes what it has, and takes only clients that persist in it. */
  readonly isDraining: boolean;
  /** Relative to the others of its locality; 1 unless a WorkloadEntry says otherwise. */
  readonly weight: number;
}

/** Whether this port of the endpoint, by the name of the service's, is sent the mesh's mutual TLS. */
export const takesMutualTls = ({ isInMesh, mtls, ports }: Endpoint, portName: string): boolean =>
  isInMesh && modeOfPort(mtls, ports.get(portName) ?? 0) !== "DISABLE";
