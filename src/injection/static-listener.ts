/** The pod's IP families, the first one primary. */
export type IpFamilies = readonly ("IPv4" | "IPv6")[];

const listenerAddress = (port: number, ipFamilies: IpFamilies): object => {
  const wildcard = { IPv4: "0.0.0.0", IPv6: "::" } as const;
  const [first = "IPv4", ...others] = ipFamilies;
  const socket = (family: "IPv4" | "IPv6"): object => ({
    socket_address: { address: wildcard[family], port_value: port },
  });
  return {
    address: socket(first),
    ...(others.length > 0 ? { additional_addresses: others.map((family) => ({ address: socket(family) })) } : {}),
  };
};

/** A listener that answers plain HTTP with these routes and filters, ahead of all redirection. */
export const httpListener = (
  name: string,
  port: number,
  ipFamilies: IpFamilies,
  routes: readonly object[],
  filters: readonly object[] = [],
): object => ({
  name,
  ...listenerAddress(port, ipFamilies),
  filter_chains: [
    {
      filters: [
        {
          name: "envoy.filters.network.http_connection_manager",
          typed_config: {
            "@type":
              "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix: name,
            request_headers_timeout: "10s",
            route_config: { virtual_hosts: [{ name, domains: ["*"], routes }] },
            http_filters: [
              ...filters,
              {
                name: "envoy.filters.http.router",
                typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
              },
            ],
          },
        },
      ],
    },
  ],
});
