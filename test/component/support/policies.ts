import { echoPod, join, namespace } from "./manifests.js";

/** Who calls `shop/server`: from its own namespace, from another one, and without a sidecar. */
export const callers = join(
  namespace("plain"),
  echoPod("outside", "outside", { namespace: "plain" }),
  echoPod("frontend", "frontend", { namespace: "shop" }),
  echoPod("batch", "batch", { namespace: "jobs" }),
);

/** AuthorizationPolicies as YAML, and what is looked at to see them work. */
export interface PolicyOptions {
  readonly home?: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export const authorizationPolicy = (
  name: string,
  spec: object,
  { home = "shop", annotations }: PolicyOptions = {},
): string =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: home, ...(annotations && { annotations }) },
    spec,
  });

export const forServer = { selector: { matchLabels: { app: "server" } } } as const;
