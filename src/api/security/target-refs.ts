import { type Static, Type } from "typebox";

const reference = Type.Object(
  {
    group: Type.Optional(Type.String({ maxLength: 253, description: "API group; gateway.networking.k8s.io." })),
    kind: Type.String({ minLength: 1, maxLength: 63, description: "Kind of the object; Gateway." }),
    name: Type.String({ minLength: 1, maxLength: 253, description: "Name of the object." }),
    namespace: Type.Optional(
      Type.String({ maxLength: 63, description: "Namespace of the object, which must be the policy's own." }),
    ),
  },
  { additionalProperties: false, description: "An object whose proxies the policy is for." },
);

/** Istio's type.v1beta1.PolicyTargetReference, in the older form and as a list. */
export const targetRefFields = {
  targetRef: Type.Optional(reference),
  targetRefs: Type.Optional(
    Type.Array(reference, { maxItems: 16, description: "Gateways that the policy is for, in place of workloads." }),
  ),
};

export interface Targeting {
  readonly targetRef?: Static<typeof reference>;
  readonly targetRefs?: readonly Static<typeof reference>[];
}

/** Whether it is for gateways and the like: then it is never for a workload with a sidecar. */
export const hasTargets = ({ targetRef, targetRefs }: Targeting): boolean =>
  targetRef !== undefined || (targetRefs ?? []).length > 0;
