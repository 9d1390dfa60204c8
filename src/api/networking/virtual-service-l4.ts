import { type Static, Type } from "typebox";
import {
  destination,
  matchGateways,
  message,
  port,
  sourceLabels,
  sourceNamespace,
  strings,
  weight,
} from "./virtual-service-common.js";

const routeDestination = message(
  { destination: destination("Where the connection goes."), weight: weight() },
  "A destination and its share.",
);

const destinations = () =>
  Type.Optional(Type.Array(routeDestination, { description: "Where connections go, by share if there are several." }));

const staticMatch = {
  port: port(),
  sourceLabels: sourceLabels(),
  gateways: matchGateways(),
  sourceNamespace: sourceNamespace(),
};
const subnets = () =>
  Type.Optional(strings("Addresses or CIDR ranges, of which the one that the caller addresses must be."));

const tlsMatchAttributes = message(
  {
    sniHosts: strings("Names, also with a leading `*.`, of which the connection's SNI must be; each within `hosts`."),
    destinationSubnets: subnets(),
    ...staticMatch,
  },
  "Conditions that must all hold.",
);

const l4MatchAttributes = message(
  {
    destinationSubnets: subnets(),
    ...staticMatch,
    sourceSubnet: Type.Optional(Type.String({ description: "Not implemented." })),
  },
  "Conditions that must all hold.",
);

export const tlsRoute = message(
  {
    match: Type.Array(tlsMatchAttributes, { description: "The rule takes a connection for which any of these holds." }),
    route: destinations(),
  },
  "A rule for TLS connections that pass through unopened (ports declared HTTPS or TLS).",
);

export const tcpRoute = message(
  {
    match: Type.Optional(
      Type.Array(l4MatchAttributes, {
        description: "The rule takes a connection for which any of these holds; every one if there is none.",
      }),
    ),
    route: destinations(),
  },
  "A rule for connections on ports that are neither HTTP nor TLS.",
);

export type TlsRoute = Static<typeof tlsRoute>;
export type TlsMatchAttributes = Static<typeof tlsMatchAttributes>;
export type TcpRoute = Static<typeof tcpRoute>;
export type L4MatchAttributes = Static<typeof l4MatchAttributes>;
export type RouteDestination = Static<typeof routeDestination>;
