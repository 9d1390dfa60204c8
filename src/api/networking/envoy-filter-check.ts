import { show } from "../findings.js";
import type { Finding } from "../kind.js";
import type { ApplyTo, EnvoyConfigObjectPatch, EnvoyFilter, Operation } from "./envoy-filter-spec.js";
import { createRegexCheck, type RegexCheck } from "./regex.js";

type Severity = Finding["severity"];
type Report = (severity: Severity, path: string, message: string) => void;

const merges: readonly Operation[] = ["MERGE", "MERGE_AND_REPLACE_LIST"];
const inserts: readonly Operation[] = ["INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"];
const members: readonly Operation[] = ["ADD", "REMOVE", ...merges];
const filters: readonly Operation[] = [...members, "REPLACE", ...inserts];

/** The operations that have a meaning for each class of object. */
export const operationsOf: Readonly<Record<ApplyTo, readonly Operation[]>> = {
  LISTENER: members,
  FILTER_CHAIN: members,
  LISTENER_FILTER: filters,
  NETWORK_FILTER: filters,
  HTTP_FILTER: filters,
  ROUTE_CONFIGURATION: merges,
  VIRTUAL_HOST: [...members, "REPLACE"],
  HTTP_ROUTE: [...members, ...inserts],
  CLUSTER: members,
  EXTENSION_CONFIG: ["ADD"],
  BOOTSTRAP: [],
};

type ObjectMatch = "listener" | "routeConfiguration" | "cluster";
const matchOf: Readonly<Record<ApplyTo, ObjectMatch | undefined>> = {
  LISTENER: "listener",
  FILTER_CHAIN: "listener",
  LISTENER_FILTER: "listener",
  NETWORK_FILTER: "listener",
  HTTP_FILTER: "listener",
  ROUTE_CONFIGURATION: "routeConfiguration",
  VIRTUAL_HOST: "routeConfiguration",
  HTTP_ROUTE: "routeConfiguration",
  CLUSTER: "cluster",
  EXTENSION_CONFIG: undefined,
  BOOTSTRAP: undefined,
};
const objectMatches: readonly ObjectMatch[] = ["listener", "routeConfiguration", "cluster"];

/** Objects that others name, so that a new one needs a name. */
const named: readonly ApplyTo[] = [
  ...(["LISTENER", "LISTENER_FILTER", "NETWORK_FILTER", "HTTP_FILTER"] as const),
  ...(["VIRTUAL_HOST", "CLUSTER", "EXTENSION_CONFIG"] as const),
];

const configurations = ["typed_config", "typedConfig", "config_discovery", "configDiscovery"];

const connectionManagers = ["envoy.filters.network.http_connection_manager", "envoy.http_connection_manager"];

const checkOperation = (applyTo: ApplyTo, operation: Operation, path: string, report: Report): void => {
  if (applyTo === "BOOTSTRAP") {
    report(
      "error",
      `${path}.applyTo`,
      "BOOTSTRAP is read once, when the proxy starts, and before the mesh can send it anything; patch the injection " +
        "template, or use the sidecar.istio.io annotations for tracing, statistics and logging",
    );
    return;
  }
  const allowed = operationsOf[applyTo];
  if (!allowed.includes(operation))
    report("error", `${path}.patch.operation`, `${operation} has no effect on ${applyTo}; use ${allowed.join(", ")}`);
  else if (operation === "MERGE_AND_REPLACE_LIST" && applyTo.endsWith("_FILTER"))
    report(
      "warning",
      `${path}.patch.operation`,
      "MERGE_AND_REPLACE_LIST appends to lists within a filter's configuration, as MERGE does; use REPLACE to exchange them",
    );
};

const checkMatch = (
  entry: EnvoyConfigObjectPatch,
  applyTo: ApplyTo,
  path: string,
  regex: RegexCheck,
  report: Report,
): void => {
  const { match } = entry;
  if (match === undefined) return;
  const wanted = matchOf[applyTo];
  for (const field of objectMatches) {
    if (match[field] === undefined || field === wanted) continue;
    const cure = wanted === undefined ? "remove it" : `use match.${wanted}`;
    report("error", `${path}.match.${field}`, `${field} does not match what ${applyTo} patches; ${cure}`);
  }
  const version = match.proxy?.proxyVersion;
  const fault = version === undefined || version === "" ? undefined : regex.fault(version);
  if (fault !== undefined) report("error", `${path}.match.proxy.proxyVersion`, `${show(version)} ${fault}`);
  if (match.context === "WAYPOINT")
    report("warning", `${path}.match.context`, "WAYPOINT: this mesh has no waypoints; use SIDECAR_INBOUND");
  if (match.listener?.portName !== undefined)
    report("warning", `${path}.match.listener.portName`, "portName is deprecated and has no effect; use portNumber");
  const routes = match.routeConfiguration;
  for (const field of ["gateway", "portName"] as const)
    if (routes?.[field] !== undefined && match.context !== undefined && !["ANY", "GATEWAY"].includes(match.context))
      report(
        "warning",
        `${path}.match.routeConfiguration.${field}`,
        `${field} counts for gateways only, and context is ${match.context}; use context GATEWAY or name`,
      );
  if (routes?.gateway !== undefined && !/^[^/]+\/[^/]+$/.test(routes.gateway))
    report(
      "error",
      `${path}.match.routeConfiguration.gateway`,
      `${show(routes.gateway)} is not namespace/name; write it so`,
    );
};

/** The name of the filter or route that the operation acts on or is placed by. */
const checkAnchor = (entry: EnvoyConfigObjectPatch, applyTo: ApplyTo, path: string, report: Report): void => {
  const filter = entry.match?.listener?.filterChain?.filter;
  const filterPath = `${path}.match.listener.filterChain.filter`;
  if (applyTo === "HTTP_FILTER" && filter?.name !== undefined && !connectionManagers.includes(filter.name))
    report(
      "error",
      `${filterPath}.name`,
      `${show(filter.name)} holds no HTTP filters; use ${connectionManagers[0]} and name the HTTP filter in subFilter`,
    );
  if (applyTo !== "HTTP_FILTER" && filter?.subFilter !== undefined)
    report("warning", `${filterPath}.subFilter`, "subFilter counts for applyTo HTTP_FILTER only; remove it");
  if (applyTo !== "LISTENER_FILTER" && entry.match?.listener?.listenerFilter !== undefined)
    report("warning", `${path}.match.listener.listenerFilter`, "it counts for applyTo LISTENER_FILTER only; remove it");
  const operation = entry.patch?.operation;
  if (operation !== "REMOVE" && operation !== "REPLACE") return;
  const anchors: Partial<Record<ApplyTo, readonly [string, string | undefined]>> = {
    LISTENER_FILTER: [`${path}.match.listener.listenerFilter`, entry.match?.listener?.listenerFilter],
    NETWORK_FILTER: [`${filterPath}.name`, filter?.name],
    HTTP_FILTER: [`${filterPath}.subFilter.name`, filter?.subFilter?.name],
  };
  const anchor = anchors[applyTo];
  if (anchor !== undefined && (anchor[1] ?? "") === "")
    report("error", anchor[0], `${operation} must know which filter is meant; name it here`);
  const wanted = matchOf[applyTo];
  if (anchor === undefined && wanted !== undefined && entry.match?.[wanted] === undefined)
    report("warning", `${path}.match`, `${operation} with nothing to match acts on every ${applyTo}; add ${wanted}`);
};

const checkValue = (entry: EnvoyConfigObjectPatch, applyTo: ApplyTo, path: string, report: Report): void => {
  const operation = entry.patch?.operation;
  const value = entry.patch?.value;
  const valuePath = `${path}.patch.value`;
  if (operation === "REMOVE") {
    if (value !== undefined) report("warning", valuePath, "REMOVE takes no value; remove it");
    return;
  }
  if (value === undefined || Object.keys(value).length === 0) {
    report("error", valuePath, `${operation} needs the ${applyTo} as a value; add it`);
    return;
  }
  const isNew = operation !== undefined && !merges.includes(operation);
  if (isNew && named.includes(applyTo) && (typeof value["name"] !== "string" || value["name"] === ""))
    report("error", `${valuePath}.name`, `a new ${applyTo} needs a name; add it`);
  const isConfigured = configurations.some((field) => value[field] !== undefined);
  if (isNew && applyTo.endsWith("_FILTER") && !isConfigured)
    report(
      "error",
      `${valuePath}.typed_config`,
      "Envoy finds a filter by the type of its configuration; add it, with @type",
    );
  if (entry.patch?.filterClass === undefined || entry.patch.filterClass === "UNSPECIFIED") return;
  const hasEffect = operation === "ADD" && applyTo === "HTTP_FILTER";
  report(
    "warning",
    `${path}.patch.filterClass`,
    `filterClass is deprecated${hasEffect ? "" : " and counts for ADD of HTTP_FILTER only"}; use INSERT_BEFORE or INSERT_AFTER`,
  );
};

const checkTargets = ({ metadata, spec }: EnvoyFilter, report: Report): void => {
  const targets = spec.targetRefs ?? [];
  if (targets.length > 0 && spec.workloadSelector !== undefined)
    report("error", "spec.targetRefs", "only one of workloadSelector and targetRefs may be set; remove one");
  for (const [index, target] of targets.entries()) {
    const path = `spec.targetRefs[${index}]`;
    if (target.namespace !== undefined && target.namespace !== metadata?.namespace)
      report(
        "error",
        `${path}.namespace`,
        `${show(target.namespace)} is another namespace than the filter's; put the filter there`,
      );
    if (target.kind !== "Gateway" || target.group !== "gateway.networking.k8s.io")
      report(
        "warning",
        `${path}.kind`,
        `${target.group ?? ""}/${target.kind} has no proxies here; use kind Gateway of group gateway.networking.k8s.io`,
      );
  }
};

/** What the schema cannot say, of everything but the content of the values, for which Envoy's own types are needed. */
export const checkEnvoyFilter = (object: EnvoyFilter): readonly Finding[] => {
  const findings: Finding[] = [];
  const report: Report = (severity, path, message) => findings.push({ severity, path, message });
  checkTargets(object, report);
  const regex = createRegexCheck();
  const patches = object.spec.configPatches ?? [];
  if (patches.length === 0) report("warning", "spec.configPatches", "there are none, so nothing is changed; add some");
  for (const [index, entry] of patches.entries()) {
    const path = `spec.configPatches[${index}]`;
    const { applyTo } = entry;
    const operation = entry.patch?.operation;
    if (applyTo === undefined) report("error", `${path}.applyTo`, "it says what is patched; add it");
    if (operation === undefined) report("error", `${path}.patch.operation`, "it says what is done; add it");
    if (applyTo === undefined || operation === undefined) continue;
    checkOperation(applyTo, operation, path, report);
    if (applyTo === "BOOTSTRAP") continue;
    checkMatch(entry, applyTo, path, regex, report);
    checkAnchor(entry, applyTo, path, report);
    checkValue(entry, applyTo, path, report);
  }
  return findings;
};
