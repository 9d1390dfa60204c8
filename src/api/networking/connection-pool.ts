import { type Static, Type } from "typebox";
import { durationField } from "../duration.js";

const limit = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647, description }));

const closed = { additionalProperties: false } as const;

export const tcpKeepaliveSchema = Type.Object(
  {
    probes: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 2_147_483_647,
        description: "Unanswered probes after which the connection counts as dead. The kernel's default is 9.",
      }),
    ),
    time: Type.Optional(durationField("Idle time before the first probe. The kernel's default is 2 hours.")),
    interval: Type.Optional(durationField("Time between probes. The kernel's default is 75 seconds.")),
  },
  { ...closed, description: "Turns TCP keepalive on for connections to the service." },
);

export const tcpSettingsSchema = Type.Object(
  {
    maxConnections: limit("Most connections to the service, for HTTP/1.1 and TCP. Unset or 0: no limit."),
    connectTimeout: Type.Optional(
      durationField("How long a TCP connection may take to be established. Default: the mesh's connectTimeout, 10s."),
    ),
    tcpKeepalive: Type.Optional(tcpKeepaliveSchema),
    maxConnectionDuration: Type.Optional(
      durationField("A connection is closed this long after it was established. Unset: never for its age."),
    ),
    idleTimeout: Type.Optional(
      durationField(
        "A TCP connection without a byte in either direction for this long is closed. Default 1h; 0s turns it off.",
        { zero: true },
      ),
    ),
  },
  { ...closed, description: "Connections to the service, whatever is spoken on them." },
);

export const http2KeepAliveSchema = Type.Object(
  {
    interval: Type.Optional(durationField("Time between HTTP/2 PING frames. Required.")),
    timeout: Type.Optional(durationField("The connection is closed if a PING is not answered in this time. Required.")),
  },
  {
    ...closed,
    description: "HTTP/2 PING frames that find dead connections.",
    "x-kubernetes-validations": [
      { rule: "has(self.interval) && has(self.timeout)", message: "interval and timeout are both required" },
    ],
  },
);

export const httpSettingsSchema = Type.Object(
  {
    http1MaxPendingRequests: limit("Most requests that wait for a connection, HTTP/2 too. Unset or 0: no limit."),
    http2MaxRequests: limit("Most requests under way at once, HTTP/1.1 too. Unset or 0: no limit."),
    maxRequestsPerConnection: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 536_870_912,
        description: "A connection is closed after this many requests; 1 turns keep-alive off. Unset or 0: no limit.",
      }),
    ),
    maxRetries: limit("Most retries under way at once, over all hosts of the service. Unset or 0: no limit."),
    idleTimeout: Type.Optional(
      durationField("A connection without an active request for this long is closed. Default 1h."),
    ),
    h2UpgradePolicy: Type.Optional(
      Type.Enum(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"], {
        description: "Whether requests that came by HTTP/1.1 go on by HTTP/2. DEFAULT: as the mesh says.",
      }),
    ),
    useClientProtocol: Type.Optional(
      Type.Boolean({ description: "Go on with the HTTP version that the client spoke; no upgrade then." }),
    ),
    maxConcurrentStreams: limit("Most streams at once on one HTTP/2 connection. Unset or 0: 2^31-1."),
    http2KeepAlive: Type.Optional(http2KeepAliveSchema),
  },
  {
    ...closed,
    description: "Connections that carry HTTP.",
    "x-kubernetes-validations": [
      {
        rule: "!(has(self.useClientProtocol) && self.useClientProtocol && has(self.h2UpgradePolicy) && self.h2UpgradePolicy == 'UPGRADE')",
        message: "useClientProtocol and h2UpgradePolicy UPGRADE exclude each other",
      },
    ],
  },
);

export const connectionPoolSchema = Type.Object(
  { tcp: Type.Optional(tcpSettingsSchema), http: Type.Optional(httpSettingsSchema) },
  { ...closed, description: "How many connections and requests the service is sent: the circuit breaker." },
);

export type TcpKeepalive = Static<typeof tcpKeepaliveSchema>;
export type ConnectionPoolSettings = Static<typeof connectionPoolSchema>;
