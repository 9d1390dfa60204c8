import { type Static, Type } from "typebox";
import { targetRefFields } from "../security/target-refs.js";
import { podSelector } from "../selector.js";

const closed = { additionalProperties: false } as const;

const mode = Type.Optional(
  Type.Enum(["CLIENT_AND_SERVER", "CLIENT", "SERVER"], {
    description: "Of what the workload sends (CLIENT), takes (SERVER) or both.",
  }),
);

const providers = (description: string) =>
  Type.Optional(
    Type.Array(
      Type.Object(
        { name: Type.String({ minLength: 1, maxLength: 253, description: "Name of the provider." }) },
        closed,
      ),
      { maxItems: 16, description },
    ),
  );

export const metrics = [
  "ALL_METRICS",
  "REQUEST_COUNT",
  "REQUEST_DURATION",
  "REQUEST_SIZE",
  "RESPONSE_SIZE",
  "TCP_OPENED_CONNECTIONS",
  "TCP_CLOSED_CONNECTIONS",
  "TCP_SENT_BYTES",
  "TCP_RECEIVED_BYTES",
  "GRPC_REQUEST_MESSAGES",
  "GRPC_RESPONSE_MESSAGES",
] as const;

const tagOverride = Type.Object(
  {
    operation: Type.Optional(
      Type.Enum(["UPSERT", "REMOVE"], { description: "UPSERT, if unset, sets the label to the value." }),
    ),
    value: Type.Optional(
      Type.String({ maxLength: 1024, description: "Expression (CEL) that gives the label's value." }),
    ),
  },
  {
    ...closed,
    description: "What becomes of a label.",
    "x-kubernetes-validations": [
      {
        rule: "has(self.operation) && self.operation == 'REMOVE' ? !has(self.value) : has(self.value)",
        message: "UPSERT needs a value, and REMOVE has none",
      },
    ],
  },
);

const override = Type.Object(
  {
    match: Type.Optional(
      Type.Object(
        {
          metric: Type.Optional(Type.Enum([...metrics], { description: "One of Istio's metrics, or all of them." })),
          customMetric: Type.Optional(
            Type.String({
              minLength: 1,
              maxLength: 253,
              description: "A metric that is none of Istio's; there is none.",
            }),
          ),
          mode,
        },
        { ...closed, description: "Which metrics this is for; all if unset." },
      ),
    ),
    disabled: Type.Optional(Type.Boolean({ description: "Whether the metrics are left out." })),
    tagOverrides: Type.Optional(
      Type.Record(Type.String(), tagOverride, { maxProperties: 64, description: "Labels that differ, by name." }),
    ),
  },
  { ...closed, description: "A change of some metrics." },
);

const metricsRule = Type.Object(
  {
    providers: providers(
      "Who gets the metrics; replaces what the namespace or the mesh says. `prometheus` alone is known.",
    ),
    overrides: Type.Optional(
      Type.Array(override, { maxItems: 64, description: "Changes in order; those of mesh and namespace come first." }),
    ),
    reportingInterval: Type.Optional(
      Type.String({ format: "duration", description: "How often open TCP connections are told of. Has no effect." }),
    ),
  },
  { ...closed, description: "What is counted." },
);

const accessLoggingRule = Type.Object(
  {
    match: Type.Optional(Type.Object({ mode }, { ...closed, description: "Which traffic this is for; all if unset." })),
    providers: providers("Who gets the log; replaces what the namespace or the mesh says. `envoy` alone is known."),
    disabled: Type.Optional(Type.Boolean({ description: "Whether nothing is logged." })),
    filter: Type.Optional(
      Type.Object(
        {
          expression: Type.Optional(
            Type.String({ maxLength: 4096, description: "Expression (CEL) of what is logged. Has no effect." }),
          ),
        },
        { ...closed, description: "Which requests and connections are logged." },
      ),
    ),
  },
  { ...closed, description: "What is logged." },
);

export const spec = Type.Object(
  {
    selector: Type.Optional(
      podSelector(
        4096,
        "The pods of the namespace that this is for; all of them if unset, in the root namespace all of the mesh.",
      ),
    ),
    ...targetRefFields,
    tracing: Type.Optional(
      Type.Array(Type.Record(Type.String(), Type.Unknown()), {
        maxItems: 16,
        description: "What is traced. Has no effect in this version.",
      }),
    ),
    metrics: Type.Optional(Type.Array(metricsRule, { maxItems: 16, description: "Of requests and connections." })),
    accessLogging: Type.Optional(Type.Array(accessLoggingRule, { maxItems: 16, description: "Of both, one by one." })),
  },
  closed,
);

export type TelemetrySpec = Static<typeof spec>;
