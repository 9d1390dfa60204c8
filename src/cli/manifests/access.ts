import { configurationGroups } from "../../api/kinds.js";
import { rotationLease } from "../../main/certificates/rotation.js";
import { type Context, labelsOf, type Manifest, namespace } from "./context.js";

const read = ["get", "list", "watch"];

const role = (context: Context, kind: "ClusterRole" | "Role", rules: readonly object[]): readonly Manifest[] => {
  const name = `heddled${context.suffix}${kind === "ClusterRole" ? `-${namespace}` : ""}`;
  const metadata = { name, ...(kind === "Role" ? { namespace } : {}), labels: labelsOf(context) };
  const apiVersion = "rbac.authorization.k8s.io/v1";
  return [
    { apiVersion, kind, metadata, rules },
    {
      apiVersion,
      kind: `${kind}Binding`,
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name },
      subjects: [{ kind: "ServiceAccount", name: `heddled${context.suffix}`, namespace }],
    },
  ];
};

/** Who heddled is and what it may do: nothing that its work does not need. */
export const access = (context: Context): readonly Manifest[] => [
  {
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { name: `heddled${context.suffix}`, namespace, labels: labelsOf(context) },
    // Only heddled's own pods, which ask for it, get its token.
    automountServiceAccountToken: false,
  },
  ...role(context, "ClusterRole", [
    { apiGroups: [""], resources: ["namespaces", "nodes", "pods", "services"], verbs: read },
    { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
    ...[...configurationGroups].map(([group, resources]) => ({ apiGroups: [group], resources, verbs: read })),
    ...[...configurationGroups].map(([group, resources]) => ({
      apiGroups: [group],
      resources: resources.map((resource) => `${resource}/status`),
      verbs: ["patch"],
    })),
    { apiGroups: ["authentication.k8s.io"], resources: ["tokenreviews"], verbs: ["create"] },
    { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
    // A name cannot limit what is created, so creation stands apart.
    { apiGroups: [""], resources: ["configmaps"], verbs: ["create"] },
    {
      apiGroups: [""],
      resources: ["configmaps"],
      resourceNames: ["istio-ca-root-cert"],
      verbs: [...read, "update"],
    },
    {
      apiGroups: ["admissionregistration.k8s.io"],
      resources: ["mutatingwebhookconfigurations"],
      resourceNames: [`heddle-sidecar-injector${context.suffix}`],
      verbs: [...read, "patch"],
    },
    {
      apiGroups: ["admissionregistration.k8s.io"],
      resources: ["validatingwebhookconfigurations"],
      resourceNames: [`heddle-validator${context.suffix}`],
      verbs: [...read, "patch"],
    },
  ]),
  ...role(context, "Role", [
    { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
    { apiGroups: [""], resources: ["secrets"], resourceNames: ["cacerts"], verbs: read },
    {
      apiGroups: [""],
      resources: ["secrets"],
      resourceNames: ["istio-ca-secret", "heddle-trust"],
      verbs: [...read, "update"],
    },
    { apiGroups: [""], resources: ["configmaps"], resourceNames: ["heddle-ca"], verbs: [...read, "patch"] },
    {
      apiGroups: [""],
      resources: ["configmaps"],
      resourceNames: [`istio${context.suffix}`, `istio-sidecar-injector${context.suffix}`],
      verbs: read,
    },
    { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
    {
      apiGroups: ["coordination.k8s.io"],
      resources: ["leases"],
      resourceNames: [`heddled${context.suffix}-status`, rotationLease],
      verbs: ["get", "update"],
    },
  ]),
];
