import type { Route, VirtualHost } from "../../proto/envoy/config/route/v3/route_components_pb.js";
import type { RouteConfiguration } from "../../proto/envoy/config/route/v3/route_pb.js";
import { attempt, mapped, newValue, patchObject } from "./apply.js";
import { matchesRoute, matchesRouteConfiguration, matchesVirtualHost, type PatchContext, patchesFor } from "./match.js";
import { type CompiledPatch, isEmpty, type PatchSet } from "./patches.js";
import { type PatchReport, unreported } from "./report.js";
import { editSequence } from "./sequence.js";

/** Envoy refuses a configuration in which two hosts share a name or a domain. */
const hostProblem = (hosts: readonly VirtualHost[]): string | undefined => {
  const names = new Set<string>();
  const domains = new Map<string, string>();
  for (const host of hosts) {
    if (names.has(host.name)) return `there is a virtual host named ${host.name} already; give it another name`;
    names.add(host.name);
    for (const domain of host.domains.map((text) => text.toLowerCase())) {
      const holder = domains.get(domain);
      if (holder !== undefined) return `domain ${domain} is that of virtual host ${holder} already; leave it out`;
      domains.set(domain, host.name);
    }
  }
  return undefined;
};

const routeAnchor = ({ match }: CompiledPatch): string | undefined => {
  const route = match.routeConfiguration?.vhost?.route;
  return route === undefined ? undefined : `route ${route.name ?? `with action ${route.action ?? "ANY"}`}`;
};

const patchRoutes = (host: VirtualHost, patches: readonly CompiledPatch[], label: string, report: PatchReport) => {
  const isObjectPatch = ({ operation }: CompiledPatch): boolean =>
    operation === "REMOVE" || operation === "MERGE" || operation === "MERGE_AND_REPLACE_LIST";
  const ofObjects = patches.filter(isObjectPatch);
  const remaining = mapped<Route>(host.routes, (route) =>
    patchObject(
      route,
      `route ${route.name} of ${label}`,
      ofObjects.filter((patch) => matchesRoute(patch, route)),
      report,
    ),
  );
  const routes = editSequence(
    remaining,
    patches.filter((patch) => !isObjectPatch(patch)),
    { label, anchorOf: routeAnchor, matches: matchesRoute },
    report,
  );
  return routes === host.routes ? host : { ...host, routes };
};

const patchHosts = (
  set: PatchSet,
  context: PatchContext,
  configuration: RouteConfiguration,
  report: PatchReport,
): RouteConfiguration => {
  const ofConfiguration = (applyTo: "VIRTUAL_HOST" | "HTTP_ROUTE") =>
    patchesFor(set, applyTo, context).filter((patch) => matchesRouteConfiguration(patch, configuration, context));
  const patches = ofConfiguration("VIRTUAL_HOST");
  const ofRoutes = ofConfiguration("HTTP_ROUTE");
  if (patches.length === 0 && ofRoutes.length === 0) return configuration;
  const settled = [...configuration.virtualHosts];
  const virtualHosts = mapped(configuration.virtualHosts, (host) => {
    const label = `virtual host ${host.name} of route configuration ${configuration.name}`;
    const own = patches.filter((patch) => patch.operation !== "ADD" && matchesVirtualHost(patch, host));
    const index = settled.indexOf(host);
    const after = patchObject(host, label, own, report, (next) =>
      hostProblem(settled.map((other, at) => (at === index ? next : other))),
    );
    if (after === undefined) settled.splice(index, 1);
    else settled[index] = after;
    if (after === undefined) return undefined;
    return patchRoutes(
      after,
      ofRoutes.filter((patch) => matchesVirtualHost(patch, after)),
      label,
      report,
    );
  });
  const added = patches
    .filter(({ operation }) => operation === "ADD")
    .reduce(
      (hosts, patch) =>
        attempt(
          patch,
          hosts,
          `route configuration ${configuration.name}`,
          report,
          (before) => [...before, newValue<VirtualHost>(patch)],
          hostProblem,
        ),
      virtualHosts,
    );
  return added === configuration.virtualHosts ? configuration : { ...configuration, virtualHosts: added };
};

/** A route configuration after all patches for it, the same object if there are none. */
export const patchRouteConfiguration = (
  set: PatchSet,
  context: PatchContext,
  configuration: RouteConfiguration,
  report: PatchReport = unreported,
): RouteConfiguration => {
  if (isEmpty(set)) return configuration;
  const patches = patchesFor(set, "ROUTE_CONFIGURATION", context).filter((patch) =>
    matchesRouteConfiguration(patch, configuration, context),
  );
  const after = patchObject(configuration, `route configuration ${configuration.name}`, patches, report, (next) =>
    next.name === configuration.name
      ? hostProblem(next.virtualHosts)
      : `its name cannot become ${next.name}; leave name out of the value`,
  );
  return patchHosts(set, context, after ?? configuration, report);
};
