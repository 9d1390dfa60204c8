import { type Static, Type } from "typebox";
import { parseDuration } from "../duration.js";
import { error, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";

const closed = { additionalProperties: false } as const;
const duration = (description: string) => Type.Optional(Type.String({ format: "duration", description }));
const count = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 2147483647, description }));

export const TcpKeepalive = Type.Object(
  {
    probes: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 4294967295,
        description:
          "Unanswered probes after which the connection counts as dead; the operating system's default if unset.",
      }),
    ),
    time: duration("How long a connection is idle before the first probe; the operating system's default if unset."),
    interval: duration("Time between two probes; the operating system's default if unset."),
  },
  { ...closed, description: "TCP keep-alive (SO_KEEPALIVE) on the connection." },
);

export const ConnectionPoolTcp = Type.Object(
  {
    maxConnections: count("Most connections to one destination; 0 or unset for no limit."),
    connectTimeout: duration("How long connecting may take; meshConfig.connectTimeout (10s) if unset."),
    tcpKeepalive: Type.Optional(TcpKeepalive),
    maxConnectionDuration: duration("Age at which a connection is closed; unset for no limit."),
    idleTimeout: duration("How long a TCP connection may be idle before it is closed; 1h if unset, 0s for no limit."),
  },
  { ...closed, description: "Limits of connections, for HTTP and TCP alike." },
);

export const ConnectionPoolHttp = Type.Object(
  {
    http1MaxPendingRequests: count("Most requests that wait for a connection; 0 or unset for no limit."),
    http2MaxRequests: count("Most requests under way to one destination; 0 or unset for no limit."),
    maxRequestsPerConnection: count(
      "Requests after which a connection is closed; 1 turns keep-alive off, 0 for no limit.",
    ),
    maxRetries: count("Most retries under way to one destination; 0 or unset for no limit."),
    idleTimeout: duration("How long a connection may have no request before it is closed; 1h if unset."),
    h2UpgradePolicy: Type.Optional(
      Type.Enum(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"], {
        description: "Whether HTTP/1.1 requests go on as HTTP/2; DEFAULT asks meshConfig.h2UpgradePolicy.",
      }),
    ),
    useClientProtocol: Type.Optional(
      Type.Boolean({ description: "Speaks to the destination the HTTP version that the client spoke." }),
    ),
    maxConcurrentStreams: count("Most streams at once on one HTTP/2 connection; 0 or unset for Envoy's default."),
    http2KeepAlive: Type.Optional(
      Type.Object(
        {
          interval: duration("Time between two HTTP/2 pings."),
          timeout: duration("How long a ping's answer may take before the connection is closed."),
        },
        { ...closed, description: "HTTP/2 pings that tell a dead connection from an idle one." },
      ),
    ),
  },
  { ...closed, description: "Limits of HTTP requests and connections." },
);

export const ConnectionPoolSettings = Type.Object(
  { tcp: Type.Optional(ConnectionPoolTcp), http: Type.Optional(ConnectionPoolHttp) },
  { ...closed, description: "Limits of the connections and requests to one destination." },
);
export type ConnectionPoolSettings = Static<typeof ConnectionPoolSettings>;

/** `zero` tells whether 0s is a value of its own. */
const checkDuration = (path: string, value: string | undefined, zero = false): readonly Finding[] => {
  if (value === undefined) return [];
  const milliseconds = parseDuration(value) ?? Number.NaN;
  return milliseconds >= 1 || (zero && milliseconds === 0)
    ? []
    : [error(path, `${show(value)} is less than 1ms; give a longer duration, or leave it out`)];
};

/** What the schema cannot say of a connection pool; `path` is where it stands. */
export const checkConnectionPool = (path: string, settings: ConnectionPoolSettings | undefined): readonly Finding[] => {
  if (settings === undefined) return [];
  const { tcp, http } = settings;
  const empty = tcp === undefined && http === undefined;
  return [
    ...(empty ? [warning(path, "{} limits nothing; give tcp or http settings, or leave it out")] : []),
    ...checkDuration(`${path}.tcp.connectTimeout`, tcp?.connectTimeout),
    ...checkDuration(`${path}.tcp.maxConnectionDuration`, tcp?.maxConnectionDuration),
    ...checkDuration(`${path}.tcp.idleTimeout`, tcp?.idleTimeout, true),
    ...checkDuration(`${path}.tcp.tcpKeepalive.time`, tcp?.tcpKeepalive?.time),
    ...checkDuration(`${path}.tcp.tcpKeepalive.interval`, tcp?.tcpKeepalive?.interval),
    ...checkDuration(`${path}.http.idleTimeout`, http?.idleTimeout),
    ...checkDuration(`${path}.http.http2KeepAlive.interval`, http?.http2KeepAlive?.interval),
    ...checkDuration(`${path}.http.http2KeepAlive.timeout`, http?.http2KeepAlive?.timeout),
    ...(http?.http2KeepAlive !== undefined &&
    (http.http2KeepAlive.interval === undefined || http.http2KeepAlive.timeout === undefined)
      ? [error(`${path}.http.http2KeepAlive`, `${show(http.http2KeepAlive)} is half; give interval and timeout`)]
      : []),
    ...(http?.useClientProtocol === true && http.h2UpgradePolicy === "UPGRADE"
      ? [error(`${path}.http.h2UpgradePolicy`, '"UPGRADE" contradicts useClientProtocol: true; remove one of them')]
      : []),
  ];
};
