import { Type } from "typebox";

/** Pods and WorkloadEntries by their labels, as Sidecar, ServiceEntry and EnvoyFilter write it. */
export const WorkloadSelector = Type.Object(
  {
    labels: Type.Optional(
      Type.Record(
        Type.String(),
        Type.String({
          maxLength: 63,
          "x-kubernetes-validations": [
            { rule: "!self.contains('*')", message: "a selector knows no wildcard; write the label's whole value" },
          ],
        }),
        {
          maxProperties: 256,
          description: "Labels that a workload must all have to be selected; workloads of the own namespace only.",
        },
      ),
    ),
  },
  { additionalProperties: false, description: "The workloads that this resource is for." },
);
