import { Type } from "typebox";

const targetRef = (description: string) =>
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

/** Istio's two ways to attach a policy to gateways rather than to pods. */
export const targetReferences = {
  targetRef: Type.Optional(targetRef("Earlier form of targetRefs, for one object.")),
  targetRefs: Type.Optional(
    Type.Array(targetRef("An object whose proxies the policy is for."), {
      maxItems: 16,
      description: "Gateways of the Kubernetes Gateway API that the policy is for, instead of pods.",
    }),
  ),
} as const;

/** In the language of the API server: what attaches a policy is one of them. */
export const oneAttachment = {
  rule: "(has(self.selector) ? 1 : 0) + (has(self.targetRef) ? 1 : 0) + (has(self.targetRefs) && self.targetRefs.size() > 0 ? 1 : 0) <= 1",
  message: "only one of selector, targetRef and targetRefs may be set",
} as const;
