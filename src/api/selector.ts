import { Type } from "typebox";

/** Labels by which a resource selects workloads, each with its whole value. */
export const selectorLabels = (maxProperties: number, description: string) =>
  Type.Record(
    Type.String(),
    Type.String({
      maxLength: 63,
      "x-kubernetes-validations": [
        { rule: "!self.contains('*')", message: "a selector knows no wildcard; write the label's whole value" },
      ],
    }),
    { maxProperties, description },
  );

/** Istio's type.v1beta1.WorkloadSelector: pods by `matchLabels`. */
export const podSelector = (maxProperties: number, description: string) =>
  Type.Object(
    {
      matchLabels: Type.Optional(selectorLabels(maxProperties, "Labels that a pod must all have to be selected.")),
    },
    { additionalProperties: false, description },
  );
