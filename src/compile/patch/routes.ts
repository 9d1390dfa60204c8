import type { Route, VirtualHost } from "../../proto/envoy/config/route/v3/route_components_pb.js";
import type { RouteConfiguration } from "../../proto/envoy/config/route/v3/route_pb.js";
import { attempt, mapped, newValue, patchObject } from "./apply.js";
import { matchesRoute, matchesRouteConfiguration, matchesVirtualHost, type PatchContext, patchesFor } from "./match.js";
import { type CompiledPatch, isEmpty, type PatchSet } from "./patches.js";
import { type PatchReport, unreported } from "./report.js";
import { editSequence } from "./sequence.js";

interface HostIndex {
  /** What Envoy would refuse if `next` took the place of `before`, or came in beside the others. */
  readonly problem: (next: VirtualHost, before?: VirtualHost) => string | undefined;
  readonly put: (next: VirtualHost | undefined, before?: VirtualHost) => void;
}

const lowerCase = ({ domains }: VirtualHost): readonly string[] => domains.map((domain) => domain.toLowerCase());

/** Envoy refuses a configuration in which two hosts share a name or a domain. */
const indexHosts = (): HostIndex => {
  const names = new Map<string, VirtualHost>();
  const domains = new Map<string, VirtualHost>();
  const isOther = (holder: VirtualHost | undefined, before: VirtualHost | undefined): holder is VirtualHost =>
    holder !== undefined && holder !== before;
  return {
    problem: (next, before) => {
      if (next.name === before?.name && next.domains === before.domains) return undefined;
      if (isOther(names.get(next.name), before))
        return `there is a virtual host named ${next.name} already; give it another name`;
      const own = lowerCase(next);
      const twice = own.find((domain, index) => own.indexOf(domain) !== index);
      if (twice !== undefined) return `domain ${twice} is there twice; leave it out`;
      const taken = own.find((domain) => isOther(domains.get(domain), before));
      return taken === undefined
        ? undefined
        : `domain ${taken} is that of virtual host ${domains.get(taken)?.name} already; leave it out`;
    },
    put: (next, before) => {
      if (before !== undefined) names.delete(before.name);
      for (const domain of before === undefined ? [] : lowerCase(before)) domains.delete(domain);
      if (next === undefined) return;
      names.set(next.name, next);
      for (const domain of lowerCase(next)) domains.set(domain, next);
    },
  };
};

const hostProblem = (hosts: readonly VirtualHost[]): string | undefined => {
  const index = indexHosts();
  for (const host of hosts) {
    const problem = index.problem(host);
    if (problem !== undefined) return problem;
    index.put(host);
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
  const index = indexHosts();
  for (const host of configuration.virtualHosts) index.put(host);
  const virtualHosts = mapped(configuration.virtualHosts, (host) => {
    const label = `virtual host ${host.name} of route configuration ${configuration.name}`;
    const own = patches.filter((patch) => patch.operation !== "ADD" && matchesVirtualHost(patch, host));
    const after = patchObject(host, label, own, report, (next) => index.problem(next, host));
    if (after !== host) index.put(after, host);
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
    .reduce((hosts, patch) => {
      const host = newValue<VirtualHost>(patch);
      const label = `route configuration ${configuration.name}`;
      const after = attempt(
        patch,
        hosts,
        label,
        report,
        (before) => [...before, host],
        () => index.problem(host),
      );
      if (after !== hosts) index.put(host);
      return after;
    }, virtualHosts);
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
