import { type Static, Type } from "typebox";
import type { ConfigObject } from "../kind.js";
import { strings } from "./virtual-service-common.js";
import { httpRoute } from "./virtual-service-http.js";
import { tcpRoute, tlsRoute } from "./virtual-service-l4.js";

/** So many that no stored object holds more, and few enough for the API server's cost of the rules within. */
const maxItems = 4096;

export const virtualServiceSpec = Type.Object(
  {
    hosts: Type.Optional(
      strings(
        "Hosts that the rules are for: names of Services, DNS names, a leading `*.` for all below, addresses. A name without a dot is of this namespace. None: the resource is a delegate.",
      ),
    ),
    gateways: Type.Optional(
      strings(
        "Gateways, `[namespace/]name`, that apply the rules; `mesh` stands for the sidecars and is all if unset.",
      ),
    ),
    http: Type.Optional(
      Type.Array(httpRoute, {
        maxItems,
        description: "Rules for HTTP, in order; the first that takes a request decides.",
      }),
    ),
    tls: Type.Optional(Type.Array(tlsRoute, { maxItems, description: "Rules for TLS that passes through, in order." })),
    tcp: Type.Optional(Type.Array(tcpRoute, { maxItems, description: "Rules for other TCP connections, in order." })),
    exportTo: Type.Optional(
      strings("Namespaces whose workloads see the rules: names, `.` for this one, `*` for all (if unset)."),
    ),
  },
  { additionalProperties: false, description: "How callers' requests to a host are routed." },
);

export type VirtualServiceSpec = Static<typeof virtualServiceSpec>;
export type VirtualService = ConfigObject<VirtualServiceSpec>;
