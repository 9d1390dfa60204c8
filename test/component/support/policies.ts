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
