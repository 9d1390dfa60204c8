import { fromJson, type JsonValue, type Message } from "@bufbuild/protobuf";
import { RE2JS } from "re2js";
import type { Finding } from "../../api/kind.js";
import {
  type ApplyTo,
  type EnvoyConfigObjectPatch,
  type EnvoyFilter,
  envoyFilter,
  type Operation,
} from "../../api/networking/envoy-filter.js";
import type { EnvoyConfigObjectMatch } from "../../api/networking/envoy-filter-match.js";
import { jsonFindings } from "./json.js";
import { envoyTypes, knownType } from "./types.js";
import { violationsOf } from "./violations.js";

export interface CompiledPatch {
  /** `namespace/name` of the filter. */
  readonly key: string;
  /** `spec.configPatches[n]`. */
  readonly path: string;
  readonly applyTo: ApplyTo;
  readonly operation: Operation;
  readonly match: EnvoyConfigObjectMatch;
  readonly proxyVersion: RE2JS | undefined;
  readonly filterClass: string | undefined;
  /** The value, of the type that `applyTo` says; absent for REMOVE. Shared: never changed, only cloned. */
  readonly value: Message | undefined;
}

export interface KeyedFinding {
  readonly key: string;
  readonly finding: Finding;
}

/** Patches of several filters in the order of application, by what they apply to. */
export interface PatchSet {
  readonly patches: ReadonlyMap<ApplyTo, readonly CompiledPatch[]>;
  readonly findings: readonly KeyedFinding[];
}

/** The message that each class of object is. */
export const typeOf: Readonly<Record<Exclude<ApplyTo, "BOOTSTRAP">, string>> = {
  LISTENER: "envoy.config.listener.v3.Listener",
  LISTENER_FILTER: "envoy.config.listener.v3.ListenerFilter",
  FILTER_CHAIN: "envoy.config.listener.v3.FilterChain",
  NETWORK_FILTER: "envoy.config.listener.v3.Filter",
  HTTP_FILTER: "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter",
  ROUTE_CONFIGURATION: "envoy.config.route.v3.RouteConfiguration",
  VIRTUAL_HOST: "envoy.config.route.v3.VirtualHost",
  HTTP_ROUTE: "envoy.config.route.v3.Route",
  CLUSTER: "envoy.config.cluster.v3.Cluster",
  EXTENSION_CONFIG: "envoy.config.core.v3.TypedExtensionConfig",
};

export const keyOfFilter = ({ metadata }: EnvoyFilter): string => `${metadata?.namespace}/${metadata?.name}`;

const pathOf = (index: number): string => `spec.configPatches[${index}]`;

const decoded = (applyTo: keyof typeof typeOf, value: unknown): Message =>
  fromJson(knownType(typeOf[applyTo]), value as JsonValue, { registry: envoyTypes() });

const valueFindings = ({ applyTo, patch }: EnvoyConfigObjectPatch, path: string): readonly Finding[] => {
  if (applyTo === undefined || applyTo === "BOOTSTRAP" || patch?.value === undefined) return [];
  if (patch.operation === undefined || patch.operation === "REMOVE") return [];
  const type = knownType(typeOf[applyTo]);
  const at = `${path}.patch.value`;
  const findings = jsonFindings(type, patch.value, at);
  if (findings.some(({ severity }) => severity === "error")) return findings;
  try {
    const violations = violationsOf(type, decoded(applyTo, patch.value), patch.operation.startsWith("MERGE"));
    const ofRules = violations.map(
      (violation): Finding => ({ severity: "error", path: `${at}.${violation.path}`, message: violation.message }),
    );
    return [...findings, ...ofRules];
  } catch (error) {
    return [...findings, { severity: "error", path: at, message: `${(error as Error).message}; correct the value` }];
  }
};

/** What is wrong in the values of a filter that fits its schema: for admission, beside `envoyFilter.check`. */
export const envoyFilterValueFindings = ({ spec }: EnvoyFilter): readonly Finding[] =>
  (spec.configPatches ?? []).flatMap((entry, index) => valueFindings(entry, pathOf(index)));

const compilePatch = (key: string, entry: EnvoyConfigObjectPatch, path: string): CompiledPatch => {
  const { applyTo, match = {}, patch } = entry;
  if (applyTo === undefined || applyTo === "BOOTSTRAP" || patch?.operation === undefined)
    throw new Error("the patch does not say what it does");
  const version = match.proxy?.proxyVersion;
  return {
    key,
    path,
    applyTo,
    operation: patch.operation,
    match,
    proxyVersion: version === undefined ? undefined : RE2JS.compile(version),
    filterClass: patch.filterClass,
    value: patch.operation === "REMOVE" ? undefined : decoded(applyTo, patch.value),
  };
};

interface CompiledFilter {
  readonly patches: readonly CompiledPatch[];
  readonly findings: readonly Finding[];
}

const compileFilter = (filter: EnvoyFilter): CompiledFilter => {
  const own = envoyFilter.check(filter);
  const findings: Finding[] = [...own];
  const patches: CompiledPatch[] = [];
  const refused = own.some(({ severity, path }) => severity === "error" && !path.startsWith("spec.configPatches["));
  for (const [index, entry] of (refused ? [] : (filter.spec.configPatches ?? [])).entries()) {
    const path = pathOf(index);
    const ofValue = valueFindings(entry, path);
    findings.push(...ofValue);
    const isFaulty = [...own, ...ofValue].some(
      (finding) => finding.severity === "error" && finding.path.startsWith(`${path}.`),
    );
    if (isFaulty) continue;
    try {
      patches.push(compilePatch(keyOfFilter(filter), entry, path));
    } catch (error) {
      findings.push({ severity: "error", path, message: `${(error as Error).message}; correct the patch` });
    }
  }
  return { patches, findings };
};

/** What does not fit the schema may be anything: it is refused whole, as at admission. */
const compileSafely = (filter: EnvoyFilter): CompiledFilter => {
  try {
    return compileFilter(filter);
  } catch (error) {
    const message = `the filter does not fit its schema (${(error as Error).message}); correct it`;
    return { patches: [], findings: [{ severity: "error", path: "spec", message }] };
  }
};

/** Filters are never changed: the same object compiles to the same. */
const compiled = new WeakMap<EnvoyFilter, CompiledFilter>();

const compiledOf = (filter: EnvoyFilter): CompiledFilter => {
  const known = compiled.get(filter);
  if (known !== undefined) return known;
  const made = compileSafely(filter);
  compiled.set(filter, made);
  return made;
};

/**
 * The patches of filters in the order of application. A patch with a fault is left out, with a finding; the others of
 * its filter stay.
 */
export const compilePatches = (filters: readonly EnvoyFilter[]): PatchSet => {
  const patches = new Map<ApplyTo, CompiledPatch[]>();
  const findings: KeyedFinding[] = [];
  for (const filter of filters) {
    const key = keyOfFilter(filter);
    const { patches: own, findings: ofFilter } = compiledOf(filter);
    for (const finding of ofFilter) findings.push({ key, finding });
    for (const patch of own) {
      const list = patches.get(patch.applyTo);
      if (list === undefined) patches.set(patch.applyTo, [patch]);
      else list.push(patch);
    }
  }
  return { patches, findings };
};

export const isEmpty = ({ patches }: PatchSet): boolean => patches.size === 0;

/** What is known before anything is patched; `reportedFindings` adds what application shows. */
export const findingsOf = ({ findings }: PatchSet): readonly KeyedFinding[] => findings;
