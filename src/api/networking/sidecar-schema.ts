import { type Static, Type } from "typebox";
import type { ConfigObject } from "../kind.js";
import { ConnectionPoolSettings } from "./connection-pool.js";
import { ServerTlsSettings } from "./server-tls.js";
import { WorkloadSelector } from "./workload-selector.js";

const closed = { additionalProperties: false } as const;

export const SidecarPort = Type.Object(
  {
    number: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 65535, description: "Port of the listener; 0 for a Unix domain socket." }),
    ),
    protocol: Type.Optional(
      Type.String({
        maxLength: 256,
        description: "HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP or TLS; for egress also HTTP_PROXY.",
      }),
    ),
    name: Type.Optional(Type.String({ maxLength: 256, description: "Name of the port." })),
    targetPort: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 65535, description: "Has no effect; it is there for old configuration." }),
    ),
  },
  { ...closed, description: "Port of the listener." },
);
export type SidecarPort = Static<typeof SidecarPort>;

const captureMode = Type.Optional(
  Type.Enum(["DEFAULT", "IPTABLES", "NONE"], {
    description: "Whether traffic is redirected to the listener: DEFAULT and IPTABLES do it, NONE has clients call it.",
  }),
);

export const SidecarIngressListener = Type.Object(
  {
    port: SidecarPort,
    bind: Type.Optional(Type.String({ maxLength: 256, description: "IP address to listen on; the pod's if unset." })),
    captureMode,
    defaultEndpoint: Type.Optional(
      Type.String({
        maxLength: 256,
        description:
          "Where the application listens: 127.0.0.1:PORT or [::1]:PORT, 0.0.0.0:PORT or [::]:PORT for the pod's address, unix:///path. The listener's port on the pod's address if unset.",
      }),
    ),
    tls: Type.Optional(ServerTlsSettings),
    connectionPool: Type.Optional(ConnectionPoolSettings),
  },
  closed,
);
export type SidecarIngressListener = Static<typeof SidecarIngressListener>;

export const SidecarEgressListener = Type.Object(
  {
    port: Type.Optional(SidecarPort),
    bind: Type.Optional(
      Type.String({ maxLength: 256, description: "IP address or unix:///path to listen on; needs a port." }),
    ),
    captureMode,
    hosts: Type.Array(Type.String({ maxLength: 512 }), {
      minItems: 1,
      maxItems: 4096,
      description:
        "Hosts that can be called, as namespace/host. The namespace may be . (this one) or *; the host may be * or begin with *. ~/* is none at all, and ~ before a namespace takes hosts away again.",
    }),
  },
  closed,
);
export type SidecarEgressListener = Static<typeof SidecarEgressListener>;

export const OutboundTrafficPolicy = Type.Object(
  {
    mode: Type.Optional(
      Type.Enum(["REGISTRY_ONLY", "ALLOW_ANY"], {
        description: "What becomes of traffic to hosts that the mesh does not know: refused, or let through.",
      }),
    ),
    egressProxy: Type.Optional(
      Type.Object(
        {
          host: Type.String({ maxLength: 253, description: "Full name of a service of the mesh." }),
          port: Type.Optional(
            Type.Object(
              { number: Type.Optional(Type.Integer({ minimum: 1, maximum: 65535, description: "Port's number." })) },
              { ...closed, description: "Port of the service." },
            ),
          ),
          subset: Type.Optional(Type.String({ maxLength: 63, description: "Subset of the service." })),
        },
        { ...closed, description: "Service that traffic to unknown hosts goes to instead; with ALLOW_ANY only." },
      ),
    ),
  },
  {
    ...closed,
    description: "Traffic to hosts that the mesh does not know; meshConfig.outboundTrafficPolicy if unset.",
  },
);

export const SidecarSchema = Type.Object(
  {
    workloadSelector: Type.Optional(WorkloadSelector),
    ingress: Type.Optional(
      Type.Array(SidecarIngressListener, {
        maxItems: 1024,
        description: "Inbound listeners. If there are any, they replace those made for the workload's services.",
      }),
    ),
    egress: Type.Optional(
      Type.Array(SidecarEgressListener, {
        maxItems: 1024,
        description: "Outbound listeners and the hosts each can reach; everything that is visible if unset.",
      }),
    ),
    inboundConnectionPool: Type.Optional(ConnectionPoolSettings),
    outboundTrafficPolicy: Type.Optional(OutboundTrafficPolicy),
  },
  closed,
);

export type SidecarSpec = Static<typeof SidecarSchema>;
export type Sidecar = ConfigObject<SidecarSpec>;
