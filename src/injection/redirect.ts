/** What an `istio-init` container redirects. CIDRs may be of either family; "*" among the includes means all. */
export interface RedirectInput {
  readonly mode: "REDIRECT" | "TPROXY";
  readonly proxyUserId: number;
  readonly proxyGroupId: number;
  /** "*" or port numbers. */
  readonly includeInboundPorts: readonly string[];
  readonly excludeInboundPorts: readonly number[];
  /** Ports redirected whatever their destination address. */
  readonly includeOutboundPorts: readonly number[];
  readonly excludeOutboundPorts: readonly number[];
  /** "*" or CIDRs. */
  readonly includeOutboundIpRanges: readonly string[];
  readonly excludeOutboundIpRanges: readonly string[];
  readonly excludeInterfaces: readonly string[];
}

export const redirectPorts = { outbound: 15001, inbound: 15006 } as const;

/** The proxy's own ports, which are asked directly: probes, readiness, metrics. */
const ownInboundPorts: readonly number[] = [15020, 15021, 15090];

/** Connections that Envoy makes to its own application leave from these, so that they are not redirected back. */
const passthroughSources = { ip: "127.0.0.6", ip6: "::1" } as const;

/** Firewall mark of the connections that Envoy, with TPROXY, makes to the application from the caller's address. */
const callerMark = "0x539";

const setOf = (items: readonly (string | number)[]): string => `{ ${[...new Set(items)].join(", ")} }`;

const splitByFamily = (
  ranges: readonly string[],
): { readonly ip: readonly string[]; readonly ip6: readonly string[] } => ({
  ip: ranges.filter((range) => !range.includes(":")),
  ip6: ranges.filter((range) => range.includes(":")),
});

const destinationRules = (ranges: readonly string[], verdict: string): readonly string[] => {
  const { ip, ip6 } = splitByFamily(ranges);
  return [
    ...(ip.length > 0 ? [`ip daddr ${setOf(ip)} ${verdict}`] : []),
    ...(ip6.length > 0 ? [`ip6 daddr ${setOf(ip6)} ${verdict}`] : []),
  ];
};

const outboundRules = (input: RedirectInput): readonly string[] => {
  const redirect = `meta l4proto tcp redirect to :${redirectPorts.outbound}`;
  const inward = `meta l4proto tcp redirect to :${redirectPorts.inbound}`;
  const ofProxy = [`meta skuid ${input.proxyUserId}`, `meta skgid ${input.proxyGroupId}`];
  const notLoopbackAddress = ["ip daddr != 127.0.0.1", "ip6 daddr != ::1"];
  return [
    ...(input.excludeInterfaces.length > 0
      ? [`oifname ${setOf(input.excludeInterfaces.map((name) => `"${name}"`))} return`]
      : []),
    ...(input.mode === "TPROXY" ? [`meta mark ${callerMark} return`] : []),
    ...(input.excludeOutboundPorts.length > 0 ? [`tcp dport ${setOf(input.excludeOutboundPorts)} return`] : []),
    `oifname "lo" ip saddr ${passthroughSources.ip} return`,
    ...ofProxy.map((owner) => `${owner} oifname "lo" ip6 saddr ${passthroughSources.ip6} return`),
    // The proxy calling its own pod by the pod's or a service's address comes in as any caller would.
    ...ofProxy.flatMap((owner) => notLoopbackAddress.map((address) => `${owner} oifname "lo" ${address} ${inward}`)),
    ...ofProxy.map((owner) => `${owner} return`),
    "ip daddr 127.0.0.0/8 return",
    "ip6 daddr ::1 return",
    // The application calling itself by the pod's own address.
    'oifname "lo" return',
    ...destinationRules(input.excludeOutboundIpRanges, "return"),
    ...(input.includeOutboundPorts.length > 0
      ? [`tcp dport ${setOf(input.includeOutboundPorts)} redirect to :${redirectPorts.outbound}`]
      : []),
    ...(input.includeOutboundIpRanges.includes("*")
      ? [redirect]
      : destinationRules(input.includeOutboundIpRanges, redirect)),
  ];
};

const inboundMatch = (input: RedirectInput): string | undefined => {
  if (input.includeInboundPorts.length === 0) return undefined;
  if (input.includeInboundPorts.includes("*")) return "meta l4proto tcp";
  return `tcp dport ${setOf(input.includeInboundPorts)}`;
};

const inboundRules = (input: RedirectInput): readonly string[] => {
  const match = inboundMatch(input);
  if (match === undefined) return [];
  return [
    ...(input.excludeInterfaces.length > 0
      ? [`iifname ${setOf(input.excludeInterfaces.map((name) => `"${name}"`))} return`]
      : []),
    `tcp dport ${setOf([...ownInboundPorts, ...input.excludeInboundPorts])} return`,
    `${match} redirect to :${redirectPorts.inbound}`,
  ];
};

/**
 * The caller's own connection may have the same addresses and ports as Envoy's to the application: a zone keeps them
 * apart.
 */
const callerZoneRules = [`meta mark ${callerMark} ct original zone set 1`];

/** The application's answers would leave for the caller; the connection's mark brings them back to Envoy. */
const callerAnswerRules = [
  `meta mark ${callerMark} ct mark set ${callerMark} return`,
  `ct direction reply ct mark ${callerMark} meta mark set ${callerMark} return`,
];

const chain = (name: string, hook: string, rules: readonly string[]): string =>
  [`  chain ${name} {`, ...[hook, ...rules].map((line) => `    ${line};`), "  }"].join("\n");

/**
 * The nftables transaction: the table `inet heddle` is replaced whole, so applying it again changes nothing.
 * `nft --check` accepts it, and `nft` applies it, as a single argument.
 */
export const renderRuleset = (input: RedirectInput): string => {
  const asCaller =
    input.mode === "TPROXY"
      ? [
          chain("zone", "type filter hook output priority raw", callerZoneRules),
          chain("answers", "type route hook output priority mangle", callerAnswerRules),
        ]
      : [];
  const chains = [
    chain("prerouting", "type nat hook prerouting priority dstnat", inboundRules(input)),
    ...asCaller,
    chain("output", "type nat hook output priority -100", outboundRules(input)),
  ];
  return ["add table inet heddle", "delete table inet heddle", "table inet heddle {", ...chains, "}", ""].join("\n");
};

/**
 * Command and arguments of the init container. It runs as uid 0 with every capability dropped but NET_ADMIN, and needs
 * no shell and no writable file. With TPROXY the pod's packets must also be routed to the proxy: further containers run
 * `renderTproxyRoutes`.
 */
export const renderRedirect = (
  input: RedirectInput,
): { readonly command: readonly string[]; readonly args: readonly string[] } => ({
  command: ["/usr/sbin/nft"],
  args: [renderRuleset(input).replaceAll("$", "$$$$")],
});

/**
 * The further init container of TPROXY, one for each family: routes marked packets to this host. The batch file is part
 * of the proxy's image; run again it changes nothing.
 */
export const renderTproxyRoutes = (
  family: "IPv4" | "IPv6",
): { readonly command: readonly string[]; readonly args: readonly string[] } => ({
  command: ["/usr/sbin/ip"],
  args: [family === "IPv6" ? "-6" : "-4", "-batch", "/etc/heddle/tproxy-routes"],
});
