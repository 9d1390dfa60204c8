import { type Static, Type } from "typebox";
import type { ConfigObject } from "../kind.js";
import { WorkloadEntrySchema } from "./workload-entry.js";
import { WorkloadSelector } from "./workload-selector.js";

const closed = { additionalProperties: false } as const;
const portNumber = { minimum: 1, maximum: 65535 } as const;

export const ServiceEntryPort = Type.Object(
  {
    number: Type.Integer({ ...portNumber, description: "Port that clients call." }),
    name: Type.String({ maxLength: 256, description: "Name of the port, unique in the ServiceEntry." }),
    protocol: Type.Optional(
      Type.String({
        maxLength: 256,
        description:
          "HTTP, HTTPS, HTTP2, GRPC, GRPC-WEB, TCP, TLS, MONGO, MYSQL or REDIS; if unset it is told from the first bytes.",
      }),
    ),
    targetPort: Type.Optional(
      Type.Integer({ ...portNumber, description: "Port of the endpoints, if it is not the one that clients call." }),
    ),
  },
  { ...closed },
);
export type ServiceEntryPort = Static<typeof ServiceEntryPort>;

export const ServiceEntrySchema = Type.Object(
  {
    hosts: Type.Array(
      Type.String({
        maxLength: 253,
        "x-kubernetes-validations": [
          { rule: "self != '*'", message: "a ServiceEntry cannot stand for every host; write such as *.example.com" },
        ],
      }),
      {
        minItems: 1,
        maxItems: 256,
        description:
          "DNS names of the service, a wildcard may come first. HTTP is matched by its Host header, TLS by its SNI; VirtualServices and DestinationRules name these hosts.",
      },
    ),
    addresses: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), {
        maxItems: 256,
        description:
          "Virtual IP addresses or CIDR ranges that belong to the service. Without them, TCP is told by its port alone.",
      }),
    ),
    ports: Type.Optional(
      Type.Array(ServiceEntryPort, {
        maxItems: 256,
        description: "Ports of the service.",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-validations": [
          {
            rule: "self.all(l1, self.exists_one(l2, l1.number == l2.number))",
            message: "a port's number is there twice; each may be there once",
          },
        ],
      }),
    ),
    location: Type.Optional(
      Type.Enum(["MESH_EXTERNAL", "MESH_INTERNAL"], {
        description:
          "MESH_EXTERNAL (default) is outside the mesh and never gets its mutual TLS; MESH_INTERNAL is part of it.",
      }),
    ),
    resolution: Type.Optional(
      Type.Enum(["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"], {
        description:
          "How endpoints are found: NONE (default) goes where the client connects to, STATIC uses the endpoints' IP addresses, DNS all addresses of the names, DNS_ROUND_ROBIN the first one, DYNAMIC_DNS resolves each request's host and needs wildcard hosts.",
      }),
    ),
    endpoints: Type.Optional(
      Type.Array(WorkloadEntrySchema, {
        maxItems: 4096,
        description: "Endpoints of the service. With DNS and no endpoints, the hosts themselves are resolved.",
      }),
    ),
    workloadSelector: Type.Optional(WorkloadSelector),
    exportTo: Type.Optional(
      Type.Array(Type.String({ maxLength: 63 }), {
        maxItems: 1024,
        description:
          "Namespaces of the clients that see the service: names, . for this one, * for all, ~ for none; all if unset.",
      }),
    ),
    subjectAltNames: Type.Optional(
      Type.Array(Type.String({ maxLength: 2048 }), {
        maxItems: 1024,
        description: "Names of which a server's certificate must hold one, where a DestinationRule does not say.",
      }),
    ),
  },
  { ...closed },
);

export type ServiceEntrySpec = Static<typeof ServiceEntrySchema>;
export type ServiceEntry = ConfigObject<ServiceEntrySpec>;
