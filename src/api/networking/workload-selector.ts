import { Type } from "typebox";
import { selectorLabels } from "../selector.js";

/** Pods and WorkloadEntries by their labels, as Sidecar, ServiceEntry and EnvoyFilter write it. */
export const WorkloadSelector = Type.Object(
  {
    labels: Type.Optional(
      selectorLabels(256, "Labels that a workload must all have to be selected; workloads of the own namespace only."),
    ),
  },
  { additionalProperties: false, description: "The workloads that this resource is for." },
);
