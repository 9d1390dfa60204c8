import { type Static, Type } from "typebox";
import { clientTlsSchema } from "./client-tls.js";
import { ConnectionPoolSettings } from "./connection-pool.js";
import { durationField } from "./duration-field.js";
import { loadBalancerSchema } from "./load-balancer.js";
import { outlierDetectionSchema } from "./outlier-detection.js";

const closed = { additionalProperties: false } as const;

const portNumber = (description: string) => Type.Integer({ minimum: 1, maximum: 65_535, description });

/** The four blocks that a port's own settings replace as a whole. */
const blocks = {
  loadBalancer: Type.Optional(loadBalancerSchema),
  connectionPool: Type.Optional(ConnectionPoolSettings),
  outlierDetection: Type.Optional(outlierDetectionSchema),
  tls: Type.Optional(clientTlsSchema),
};

const portTrafficPolicySchema = Type.Object(
  {
    port: Type.Optional(
      Type.Object(
        { number: Type.Optional(portNumber("Port of the service (not of the container).")) },
        { ...closed, description: "Which port of the service. Required." },
      ),
    ),
    ...blocks,
  },
  { ...closed, description: "What governs one port in place of the policy around it." },
);

const tunnelSchema = Type.Object(
  {
    protocol: Type.Optional(
      Type.Enum(["", "CONNECT", "POST"], { description: "HTTP method that opens the tunnel. Default CONNECT." }),
    ),
    targetHost: Type.String({
      minLength: 1,
      maxLength: 253,
      description: "Name or IP address that the service is asked to connect to.",
    }),
    targetPort: portNumber("Port that the service is asked to connect to."),
  },
  {
    ...closed,
    description: "Sends TCP and TLS through this service inside an HTTP tunnel; HTTP routes are not tunnelled.",
  },
);

const proxyProtocolSchema = Type.Object(
  {
    version: Type.Optional(Type.Enum(["V1", "V2"], { description: "V1, the default, is text; V2 is binary." })),
  },
  { ...closed, description: "Begins each connection with the PROXY protocol, which names the client's address." },
);

const retryBudgetSchema = Type.Object(
  {
    percent: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 100,
        description: "Retries under way, in percent of the requests under way. Default 20.",
      }),
    ),
    minRetryConcurrency: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 4_294_967_295,
        description: "So many retries may be under way however few requests there are. Default 3.",
      }),
    ),
    budgetInterval: Type.Optional(
      durationField("Requests of this time count too, not only those under way.", { zero: true }),
    ),
  },
  { ...closed, description: "Limits retries by the load; replaces connectionPool.http.maxRetries." },
);

export const trafficPolicySchema = Type.Object(
  {
    ...blocks,
    portLevelSettings: Type.Optional(
      Type.Array(portTrafficPolicySchema, {
        maxItems: 128,
        description:
          "Policies of single ports. One replaces loadBalancer, connectionPool, outlierDetection and tls all together: a block that it omits has its default.",
      }),
    ),
    tunnel: Type.Optional(tunnelSchema),
    proxyProtocol: Type.Optional(proxyProtocolSchema),
    retryBudget: Type.Optional(retryBudgetSchema),
  },
  {
    ...closed,
    description: "How to treat traffic to the service.",
    "x-kubernetes-validations": [
      {
        rule: "!(has(self.tunnel) && has(self.proxyProtocol))",
        message: "tunnel and proxyProtocol exclude each other",
      },
    ],
  },
);

export type TrafficPolicy = Static<typeof trafficPolicySchema>;
export type PortTrafficPolicy = Static<typeof portTrafficPolicySchema>;
export type TunnelSettings = Static<typeof tunnelSchema>;
export type ProxyProtocol = Static<typeof proxyProtocolSchema>;
export type RetryBudget = Static<typeof retryBudgetSchema>;
