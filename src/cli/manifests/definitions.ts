import { customResourceDefinition } from "../../api/crd.js";
import { configurationKinds } from "../../api/kinds.js";
import { type Manifest, managedBy } from "./context.js";

/**
 * The kinds of the configuration API. They are all revisions' and outlive an installation, since with them would go
 * every resource that users have made: only uninstall --purge takes them away.
 */
export const customResourceDefinitions = (): readonly Manifest[] =>
  Object.values(configurationKinds).map((definition) => {
    const crd = customResourceDefinition(definition);
    return {
      ...crd,
      metadata: { ...crd.metadata, labels: managedBy, annotations: { "helm.sh/resource-policy": "keep" } },
    };
  });
