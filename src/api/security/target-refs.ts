import { type Static, Type } from "typebox";

const reference = (description: string) =>
  Type.Object(
    {
      group: Type.Optional(Type.String({ maxLength: 253, description: "API group; gateway.networking.k8s.io." })),
      kind: Type.String({ minLength: 1, maxLength: 63, description: "Kind of the object; Gateway." }),
      name: Type.String({ minLength: 1, maxLength: 253, description: "Name of the object." }),
      namespace: Type.Optional(
        Type.String({ maxLength: 63, description: "Namespace of the object, which must be the policy's own." }),
      ),
    },
    { additionalProperties: false, description },
  );

/** Istio's type.v1beta1.PolicyTargetReference: what attaches a policy to gateways rather than to pods. */
export const targetReferences = {
  targetRef: Type.Optional(reference("Earlier form of targetRefs, for one object.")),
  targetRefs: Type.Optional(
    Type.Array(reference("An object whose proxies the policy is for."), {
      maxItems: 16,
      description: "Gateways of the Kubernetes Gateway API that the policy is for, instead of pods.",
    }),
  ),
} as const;

export interface Targeting {
  readonly targetRef?: Static<ReturnType<typeof reference>>;
  readonly targetRefs?: readonly Static<ReturnType<typeof reference>>[];
}

/** Whether it is for gateways and the like: then it is never for a workload with a sidecar. */
export const hasTargets = ({ targetRef, targetRefs }: Targeting): boolean =>
  targetRef !== undefined || (targetRefs ?? []).length > 0;

/** In the language of the API server: what attaches a policy is one of them. */
export const oneAttachment = {
  rule: "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + (has(self.targetRefs) && self.targetRefs.size() > 0 ? 1 : 0) <= 1",
  message: "only one of selector, targetRef and targetRefs may be set",
} as const;
