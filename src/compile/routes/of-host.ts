import { policyFor } from "../../model/destination-rule.js";
import type { MeshService } from "../../model/service.js";
import type { ResolvedVirtualService } from "../../model/virtual-service.js";
import type { Route } from "../../proto/envoy/config/route/v3/route_components_pb.js";
import { outboundClusterName } from "../clusters/names.js";
import { hashPolicies } from "../clusters/route-policy.js";
import type { Recording } from "../recording.js";
import { defaultRoute, httpRoutes, type RouteContext } from "./http.js";

type Destination = Parameters<RouteContext["clusterOf"]>[0];

export const sidecarGateways: ReadonlySet<string> = new Set(["mesh"]);

/** The port that a destination means if it names none: the service's only one, else the port that was called. */
const portOf = (destination: Destination, service: MeshService | undefined, called: number): number =>
  destination.port ?? (service?.ports.length === 1 ? service.ports[0]!.port : called);

/** Where destinations lead for this client, on a port that was called. */
export const destinationsOf = (lookup: Recording, called: number) => {
  /** What an ExternalName stands for, if that is in the mesh. */
  const targetOf = (host: string): MeshService | undefined => {
    const service = lookup.serviceOf(host);
    return service?.externalName === undefined ? service : (lookup.serviceOf(service.externalName) ?? service);
  };
  return {
    clusterOf: (destination: Destination): string => {
      const service = targetOf(destination.host);
      return outboundClusterName(
        service?.host ?? destination.host,
        portOf(destination, service, called),
        destination.subset ?? "",
      );
    },
    policyOf: (destination: Destination) => {
      const service = targetOf(destination.host);
      if (service === undefined) return undefined;
      const rule = lookup.policyOf(service);
      const policy = policyFor(
        rule,
        portOf(destination, service, called),
        destination.subset ?? "",
        lookup.snapshot.mesh,
      );
      return { service, policy };
    },
  };
};

const contextOf = (lookup: Recording, port: number): RouteContext => {
  const { clusterOf, policyOf } = destinationsOf(lookup, port);
  return {
    client: lookup.client,
    port,
    gateways: sidecarGateways,
    mesh: lookup.snapshot.mesh,
    clusterOf,
    hashPolicyOf: (destination) => {
      const found = policyOf(destination);
      return found === undefined ? [] : hashPolicies(found.policy, found.service);
    },
  };
};

const choosesClients = (rule: ResolvedVirtualService): boolean =>
  [...rule.http, ...rule.tls, ...rule.tcp].some(({ match }) =>
    (match ?? []).some(
      ({ sourceLabels, sourceNamespace }) => sourceLabels !== undefined || sourceNamespace !== undefined,
    ),
  );

/** The rule that owns a host; one that tells clients apart is noted as such. */
export const ruleOf = (lookup: Recording, host: string): ResolvedVirtualService | undefined => {
  const rule = lookup.ruleOf(host);
  if (rule !== undefined && choosesClients(rule)) lookup.dependOnClient();
  return rule;
};

/** The routes of a host on a port: its VirtualService's, or all to the service where that has none for the port. */
export const routesOf = (
  lookup: Recording,
  host: string,
  service: MeshService | undefined,
  port: number,
): readonly Route[] => {
  const rule = ruleOf(lookup, host);
  const context = contextOf(lookup, port);
  const routes = rule === undefined ? [] : httpRoutes(rule, context);
  if (routes.length > 0 || service === undefined) return routes;
  return [defaultRoute({ host, port }, context)];
};
