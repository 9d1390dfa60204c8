import type { Listener } from "../proto/envoy/config/listener/v3/listener_pb.js";
import type { Fragment } from "./encode.js";
import { type IpFamilies, proxyPorts } from "./listeners/addresses.js";
import { distinctChains } from "./listeners/distinct-chains.js";
import { portListener, type UnknownTraffic } from "./listeners/outbound.js";
import type { PortPart } from "./port-part.js";
import { encodePortRoutes } from "./routes/virtual-hosts.js";
import type { Common } from "./telemetry/logs.js";

export interface SharedPortOptions extends Common {
  readonly port: number;
  /** In the order of their hosts' names. */
  readonly parts: readonly PortPart[];
  readonly families: IpFamilies;
  readonly unknown: UnknownTraffic;
  /** Where the proxy listens itself, if the application speaks to it without redirection. */
  readonly bind: string | undefined;
}

/** The route configuration of a port; undefined if no host on it speaks HTTP. */
export const sharedRoutes = ({ port, parts, unknown }: SharedPortOptions): readonly Fragment[] | undefined => {
  const hosts = parts.flatMap(({ host }) => host ?? []);
  return hosts.length === 0 ? undefined : encodePortRoutes(port, hosts, unknown);
};

/** What the listener of a port is made of, to tell whether it has to be made anew. */
export const sharedListenerKey = ({ parts }: SharedPortOptions): readonly unknown[] => [
  parts.some(({ host }) => host !== undefined),
  parts.some(({ isDynamic }) => isDynamic),
  ...parts.flatMap(({ chains, otherwise }) => [...chains, ...(otherwise === undefined ? [] : [otherwise.chain])]),
];

/** The listener of a port that services share; undefined if none is left, or if the port is the proxy's own. */
export const sharedListener = (options: SharedPortOptions): Listener | undefined => {
  const { port, parts, families, mesh, reporting, unknown } = options;
  if (parts.length === 0 || (options.bind === undefined && proxyPorts.has(port))) return undefined;
  const [oldest] = parts
    .flatMap(({ otherwise }) => otherwise ?? [])
    .sort((left, right) => (left.order < right.order ? -1 : 1));
  return portListener({
    ...{ port, families, mesh, reporting, unknown },
    hasHttp: parts.some(({ host }) => host !== undefined),
    isDynamic: parts.some(({ isDynamic }) => isDynamic),
    chains: distinctChains(parts.flatMap(({ chains }) => chains)),
    otherwise: oldest?.chain,
    bind: options.bind,
  });
};
