import { type Static, Type } from "typebox";
import type { ConfigObject } from "../kind.js";
import { trafficPolicySchema } from "./traffic-policy.js";

const closed = { additionalProperties: false } as const;

export const subsetSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 63, description: "Name by which routes choose the subset." }),
    labels: Type.Optional(
      Type.Record(Type.String(), Type.String({ maxLength: 63 }), {
        description: "Labels that an endpoint of the subset carries, all of them.",
      }),
    ),
    trafficPolicy: Type.Optional(trafficPolicySchema),
  },
  { ...closed, description: "Some of the service's endpoints, such as one version of it, under a name." },
);

export const destinationRuleSchema = Type.Object(
  {
    host: Type.String({
      minLength: 1,
      maxLength: 253,
      description:
        "Service that the rule is about: a full name, a name in the rule's namespace, or `*.` and a suffix for many.",
    }),
    trafficPolicy: Type.Optional(trafficPolicySchema),
    subsets: Type.Optional(
      Type.Array(subsetSchema, { maxItems: 512, description: "Named subsets of the service's endpoints." }),
    ),
    exportTo: Type.Optional(
      Type.Array(Type.String({ maxLength: 63 }), {
        maxItems: 1000,
        description: "Namespaces of the clients it is for: names, `.` for its own, `*` (the default) for all.",
      }),
    ),
    workloadSelector: Type.Optional(
      Type.Object(
        {
          matchLabels: Type.Optional(
            Type.Record(Type.String(), Type.String({ maxLength: 63 }), {
              description: "Labels that the client's pod carries, all of them.",
            }),
          ),
        },
        {
          ...closed,
          description: "Clients that the rule is for, in its own namespace. Default: all that exportTo names.",
        },
      ),
    ),
  },
  closed,
);

export type DestinationRuleSpec = Static<typeof destinationRuleSchema>;
export type Subset = Static<typeof subsetSchema>;
export type DestinationRule = ConfigObject<DestinationRuleSpec>;
