import { type Context, labelsOf, type Manifest, namespace } from "./context.js";

interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

const isIn = (key: string, ...values: readonly string[]): Requirement => ({ key, operator: "In", values });
const isNotIn = (key: string, ...values: readonly string[]): Requirement => ({ key, operator: "NotIn", values });
const absent = (key: string): Requirement => ({ key, operator: "DoesNotExist" });

const injectable = isNotIn(
  "kubernetes.io/metadata.name",
  ...["kube-system", "kube-public", "kube-node-lease", "local-path-storage", namespace],
);
const notRefused = isNotIn("sidecar.istio.io/inject", "false");

const webhook = (
  context: Context,
  name: string,
  namespaces: readonly Requirement[],
  pods: readonly Requirement[],
): object => ({
  name: `${name}.sidecar-injector.heddle.io`,
  admissionReviewVersions: ["v1"],
  clientConfig: {
    service: { name: `heddled${context.suffix}`, namespace, path: "/inject", port: 443 },
  },
  rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"], scope: "Namespaced" }],
  namespaceSelector: { matchExpressions: [...namespaces, injectable] },
  objectSelector: { matchExpressions: pods },
  matchPolicy: "Equivalent",
  failurePolicy: "Fail",
  // A second call after other webhooks' changes would find the pod's probes rewritten already.
  reinvocationPolicy: "Never",
  // Events about pods left out; none of a dry run.
  sideEffects: "NoneOnDryRun",
  timeoutSeconds: context.values.injection.timeoutSeconds,
});

/**
 * Which pods heddled is asked about, by labels of namespace and pod as with Istio. The CA bundle is absent: heddled fills
 * it in, and applying again leaves it alone.
 */
export const webhooks = (context: Context): Manifest & { readonly webhooks: readonly object[] } => {
  const { revision } = context.values;
  const byRevision = [
    webhook(context, "rev.namespace", [isIn("istio.io/rev", revision), absent("istio-injection")], [notRefused]),
    webhook(
      context,
      "rev.object",
      [absent("istio.io/rev"), absent("istio-injection")],
      [notRefused, isIn("istio.io/rev", revision)],
    ),
  ];
  const byInjectionLabel = [
    webhook(context, "namespace", [isIn("istio-injection", "enabled")], [notRefused]),
    webhook(
      context,
      "object",
      [absent("istio-injection"), absent("istio.io/rev")],
      [isIn("sidecar.istio.io/inject", "true"), absent("istio.io/rev")],
    ),
  ];
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name: `heddle-sidecar-injector${context.suffix}`, labels: labelsOf(context) },
    webhooks: [...byRevision, ...(context.defaultRevision ? byInjectionLabel : [])],
  };
};
