import { configurationKinds } from "../../api/kinds.js";
import { type Context, labelsOf, type Manifest, namespace } from "./context.js";

const rules = (): readonly object[] => {
  const byGroup = Object.groupBy(Object.values(configurationKinds), ({ group }) => group);
  return Object.entries(byGroup).map(([group, kinds = []]) => ({
    apiGroups: [group],
    apiVersions: [...new Set(kinds.flatMap(({ versions }) => versions))],
    operations: ["CREATE", "UPDATE"],
    resources: kinds.map(({ plural }) => plural).sort(),
    scope: "Namespaced",
  }));
};

const webhook = (context: Context, name: string, requirement: object): object => ({
  name: `${name}.heddle.io`,
  admissionReviewVersions: ["v1"],
  clientConfig: { service: { name: `heddled${context.suffix}`, namespace, path: "/validate", port: 443 } },
  rules: rules(),
  objectSelector: { matchExpressions: [requirement] },
  matchPolicy: "Equivalent",
  failurePolicy: "Fail",
  sideEffects: "None",
  timeoutSeconds: context.values.validation.timeoutSeconds,
});

/**
 * Which resources of the configuration API heddled is asked about: those labelled with its revision, and those without
 * such a label for the default one. The CA bundle is heddled's to fill in.
 */
export const validator = (context: Context): Manifest => ({
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingWebhookConfiguration",
  metadata: { name: `heddle-validator${context.suffix}`, labels: labelsOf(context) },
  webhooks: [
    webhook(context, "rev.validation", {
      key: "istio.io/rev",
      operator: "In",
      values: [context.values.revision],
    }),
    ...(context.defaultRevision
      ? [webhook(context, "validation", { key: "istio.io/rev", operator: "DoesNotExist" })]
      : []),
  ],
});
