import { access } from "./access.js";
import { injectionConfiguration, meshConfiguration } from "./configuration.js";
import { type Context, contextOf, type Manifest, managedBy, namespace } from "./context.js";
import { deployment, disruptionBudget, service } from "./control-plane.js";
import { customResourceDefinitions } from "./definitions.js";
import { networkPolicy } from "./network-policy.js";
import { validator } from "./validator.js";
import type { Values } from "./values.js";
import { webhooks } from "./webhook.js";

/** The mesh's namespace: shared by all revisions, and as restricted as pods can be. */
export const meshNamespace = (): Manifest => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: {
    name: namespace,
    labels: {
      ...managedBy,
      "istio-injection": "disabled",
      "pod-security.kubernetes.io/enforce": "restricted",
    },
  },
});

/** Every object of an installation in the order in which it is applied: the webhooks last, when heddled can answer. */
export const renderAll = (context: Context): readonly Manifest[] => [
  ...customResourceDefinitions(),
  meshNamespace(),
  ...access(context),
  meshConfiguration(context),
  injectionConfiguration(context),
  service(context),
  disruptionBudget(context),
  networkPolicy(context),
  deployment(context),
  webhooks(context),
  validator(context),
];

/** Kinds that an installation may do without, and the value of `controlPlane` that says so. */
export const optionalKinds = { PodDisruptionBudget: "podDisruptionBudget", NetworkPolicy: "networkPolicy" } as const;

export const renderManifests = (values: Values): readonly Manifest[] =>
  renderAll(contextOf(values)).filter(
    ({ kind }) =>
      !Object.hasOwn(optionalKinds, kind) || values.controlPlane[optionalKinds[kind as keyof typeof optionalKinds]],
  );
