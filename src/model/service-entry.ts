import type { MeshConfig } from "../api/meshconfig.js";
import type { ServiceEntry } from "../api/networking/service-entry.js";
import { exportTargets } from "./hosts.js";
import type { Protocol } from "./protocol.js";
import type { MeshService, Resolution, ServicePort } from "./service.js";

const resolutions: Readonly<Record<string, Resolution>> = {
  NONE: "original-destination",
  STATIC: "eds",
  DNS: "dns",
  DNS_ROUND_ROBIN: "dns-round-robin",
  DYNAMIC_DNS: "dynamic-dns",
};

const protocols: Readonly<Record<string, Protocol>> = {
  HTTP: "http",
  "GRPC-WEB": "http",
  HTTP2: "http2",
  GRPC: "http2",
  TCP: "tcp",
  TLS: "tcp",
  HTTPS: "tcp",
  MONGO: "tcp",
  MYSQL: "tcp",
  REDIS: "tcp",
};

/** The protocol of a port as the mesh's own kinds write it: `HTTP`, `TLS`, …; detected if it is none of them. */
export const declaredProtocol = (written: string | undefined): Protocol =>
  protocols[written?.toUpperCase() ?? ""] ?? "auto";

const portsOf = (entry: ServiceEntry): readonly ServicePort[] =>
  (entry.spec.ports ?? []).flatMap((port) => {
    const declared = port.protocol?.toUpperCase() ?? "";
    if (declared === "UDP") return [];
    return [
      {
        name: port.name ?? "",
        port: port.number,
        protocol: declaredProtocol(declared),
        targetPort: port.targetPort ?? port.number,
        isTls: declared === "TLS" || declared === "HTTPS",
      },
    ];
  });

/** One service a host of the entry; the key is `namespace/name/host`. */
export const servicesOfEntry = (entry: ServiceEntry, mesh: MeshConfig): readonly MeshService[] => {
  const { metadata, spec } = entry;
  const namespace = metadata?.namespace ?? "default";
  const name = metadata?.name ?? "";
  const ports = portsOf(entry);
  return (spec.hosts ?? []).map((written) => {
    const host = written.toLowerCase();
    return {
      key: `${namespace}/${name}/${host}`,
      origin: "ServiceEntry",
      namespace,
      name,
      host,
      addresses: spec.addresses ?? [],
      ports,
      selector: spec.workloadSelector?.labels ?? {},
      resolution: resolutions[spec.resolution ?? "NONE"] ?? "original-destination",
      isHeadless: false,
      externalName: undefined,
      clientAffinity: false,
      isExternal: spec.location !== "MESH_INTERNAL",
      subjectAltNames: spec.subjectAltNames ?? [],
      trafficDistribution: undefined,
      persistentSession: undefined,
      exportTo: exportTargets(spec.exportTo, namespace, mesh.defaultServiceExportTo),
      createdAt: (metadata?.creationTimestamp as string | undefined) ?? "",
    };
  });
};

/** Key of the entry, `namespace/name`, of one of its services. */
export const entryOfService = ({ namespace, name }: MeshService): string => `${namespace}/${name}`;
