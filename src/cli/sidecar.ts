interface WithContainers<Container> {
  readonly spec?: { readonly containers?: readonly Container[]; readonly initContainers?: readonly Container[] };
}

/** The proxy of a pod, an ordinary container or a native sidecar. */
export const proxyContainerOf = <Container extends { readonly name: string }>({
  spec,
}: WithContainers<Container>): Container | undefined =>
  [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find(({ name }) => name === "istio-proxy");

export const hasSidecar = (pod: WithContainers<{ readonly name: string }>): boolean =>
  proxyContainerOf(pod) !== undefined;
