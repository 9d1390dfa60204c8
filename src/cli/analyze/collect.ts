import type { Finding } from "../../api/kind.js";
import { type ConfigurationKind, definitionOf, isConfigurationKind } from "../../api/kinds.js";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { EnvoyFilter } from "../../api/networking/envoy-filter.js";
import { readConfigObject } from "../../api/validate.js";
import { envoyFilterValueFindings } from "../../compile/patch/patches.js";
import { analyseAll } from "../../model/analysis/analyse.js";
import { type Code, codeOf, type Level } from "../../model/analysis/codes.js";
import { meshServicesOf } from "../../model/analysis/hosts.js";
import { type AnalysisObjects, buildAnalysisIndex } from "../../model/analysis/index.js";
import { push } from "../../model/analysis/named.js";
import type { WorkloadTemplate } from "../../model/analysis/workloads.js";
import { type CoreKind, isCoreKind, readCore } from "../core-shape.js";
import type { Location, SourceObject, Unreadable } from "./documents.js";

/** One finding as it is shown. */
export interface Report {
  readonly code: Code;
  readonly level: Level;
  /** "" for a document that is no resource. */
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly path: string;
  readonly message: string;
  readonly location: Location | undefined;
}

export interface Collected {
  readonly reports: readonly Report[];
  /** Resources that were looked at. */
  readonly resources: number;
}

/** Where an object of the kind keeps the pod that it makes. */
const templates: Readonly<Record<string, readonly string[]>> = {
  Deployment: ["spec", "template"],
  StatefulSet: ["spec", "template"],
  DaemonSet: ["spec", "template"],
  ReplicaSet: ["spec", "template"],
  Job: ["spec", "template"],
  CronJob: ["spec", "jobTemplate", "spec", "template"],
};

const groupOf = (apiVersion: string): string => (apiVersion.includes("/") ? apiVersion.split("/", 1)[0]! : "");

const idOf = (kind: string, namespace: string, name: string): string => `${kind}/${namespace}/${name}`;

const at = (value: unknown, path: readonly string[]): unknown =>
  path.reduce<unknown>((below, name) => (below as Record<string, unknown> | undefined)?.[name], value);

const levelOf = (code: Code, finding: Finding): Level => (code === "HDL0002" ? finding.severity : codeOf(code).level);

/** A later object of the same identity takes the place of an earlier one. */
const latest = (
  objects: readonly SourceObject[],
): { readonly kept: ReadonlyMap<string, SourceObject>; readonly replaced: readonly Report[] } => {
  const kept = new Map<string, SourceObject>();
  const replaced: Report[] = [];
  for (const object of objects) {
    const { kind, namespace, name } = object;
    const id = `${groupOf(object.apiVersion)}/${idOf(kind, namespace, name)}`;
    const before = kept.get(id)?.locate("");
    // Files on top of a cluster are meant to replace; files on top of files are not.
    if (before !== undefined && name !== "")
      replaced.push({
        code: "HDL0004",
        level: codeOf("HDL0004").level,
        kind,
        namespace,
        name,
        path: "metadata.name",
        message: `is in ${before.file}, line ${before.line}, too; remove one of them`,
        location: object.locate("metadata.name"),
      });
    kept.set(id, object);
  }
  return { kept, replaced };
};

const isOfCore = ({ apiVersion }: SourceObject): boolean => apiVersion === "v1";

const configurationKindOf = ({ apiVersion, kind }: SourceObject): ConfigurationKind | undefined =>
  isConfigurationKind(kind) && definitionOf(kind).group === groupOf(apiVersion) ? kind : undefined;

/** Every object by itself, then the valid ones against each other. */
export const collect = (
  objects: readonly SourceObject[],
  unreadable: readonly Unreadable[],
  mesh: MeshConfig,
): Collected => {
  const { kept, replaced } = latest(objects);
  const sources = new Map<string, SourceObject>();
  const valid = new Map<string, unknown[]>();
  const podTemplates: WorkloadTemplate[] = [];
  const gateways = new Set<string>();
  const alone: Report[] = [];
  const tell = (source: SourceObject, finding: Finding): void => {
    const { kind, namespace, name } = source;
    const code = finding.severity === "error" ? "HDL0001" : "HDL0002";
    const { path, message } = finding;
    const location = source.locate(path);
    alone.push({ code, level: levelOf(code, finding), kind, namespace, name, path, message, location });
  };
  const keep = (kind: string, source: SourceObject, value: unknown): void => {
    sources.set(idOf(kind, source.namespace, source.name), source);
    push(valid, kind, value);
  };
  for (const source of kept.values()) {
    const { kind, namespace, name, value } = source;
    const configurationKind = configurationKindOf(source);
    const templatePath = Object.hasOwn(templates, kind) ? templates[kind]! : [];
    const template = templatePath.length === 0 ? undefined : (at(value, templatePath) ?? undefined);
    const core = (of: CoreKind, part: unknown, path: string, take: (object: unknown) => void): void => {
      sources.set(idOf(kind, namespace, name), source);
      const read = readCore(of, part, path);
      if ("object" in read) take(read.object);
      else for (const finding of read.findings) tell(source, finding);
    };
    if (configurationKind !== undefined) {
      const { object, findings } = readConfigObject(definitionOf(configurationKind), value);
      const values =
        configurationKind === "EnvoyFilter" && object !== undefined
          ? envoyFilterValueFindings(object as EnvoyFilter)
          : [];
      for (const finding of [...findings, ...values]) tell(source, finding);
      sources.set(idOf(kind, namespace, name), source);
      if (object !== undefined) keep(kind, source, object);
    } else if (template !== undefined) {
      core("Pod", template, templatePath.join("."), (pod) => {
        podTemplates.push({ kind, namespace, name, pod: pod as WorkloadTemplate["pod"] });
      });
    } else if (kind === "Gateway" && groupOf(source.apiVersion) === "networking.istio.io") {
      gateways.add(`${namespace}/${name}`);
    } else if (isOfCore(source) && isCoreKind(kind)) core(kind, value, "", (object) => keep(kind, source, object));
  }
  const list = <Key extends keyof AnalysisObjects>(kind: string): NonNullable<AnalysisObjects[Key]> =>
    (valid.get(kind) ?? []) as unknown as NonNullable<AnalysisObjects[Key]>;
  const index = buildAnalysisIndex(
    {
      namespaces: list<"namespaces">("Namespace"),
      meshServices: meshServicesOf(list<"services">("Service"), list<"serviceEntries">("ServiceEntry"), mesh),
      services: list<"services">("Service"),
      pods: list<"pods">("Pod"),
      templates: podTemplates,
      virtualServices: list<"virtualServices">("VirtualService"),
      destinationRules: list<"destinationRules">("DestinationRule"),
      serviceEntries: list<"serviceEntries">("ServiceEntry"),
      workloadEntries: list<"workloadEntries">("WorkloadEntry"),
      sidecars: list<"sidecars">("Sidecar"),
      envoyFilters: list<"envoyFilters">("EnvoyFilter"),
      proxyConfigs: list<"proxyConfigs">("ProxyConfig"),
      peerAuthentications: list<"peerAuthentications">("PeerAuthentication"),
      authorizationPolicies: list<"authorizationPolicies">("AuthorizationPolicy"),
      requestAuthentications: list<"requestAuthentications">("RequestAuthentication"),
      telemetries: list<"telemetries">("Telemetry"),
      gateways,
    },
    mesh,
  );
  const together = analyseAll(index).map(({ code, finding, kind, namespace, name }): Report => {
    const location = sources.get(idOf(kind, namespace, name))?.locate(finding.path);
    const { path, message } = finding;
    return { code, level: levelOf(code, finding), kind, namespace, name, path, message, location };
  });
  const fieldOf = ({ kind, namespace, name, path }: Report): string => `${idOf(kind, namespace, name)} ${path}`;
  const told = new Set(together.map(fieldOf));
  const unreachable = new Set(together.filter(({ code }) => code === "HDL0111").map(fieldOf));
  // Of two findings about one field, or about a rule and its match, the one that knows more says more.
  const isTold = (report: Report): boolean =>
    told.has(fieldOf(report)) || unreachable.has(fieldOf(report).replace(/\.match\[\d+\]$/, ""));
  return {
    reports: [
      ...unreadable.map(
        ({ message, location }): Report => ({
          code: "HDL0003",
          level: codeOf("HDL0003").level,
          kind: "",
          namespace: "",
          name: "",
          path: "",
          message,
          location,
        }),
      ),
      ...replaced,
      ...alone.filter((report) => report.code === "HDL0001" || !isTold(report)),
      ...together,
    ],
    resources: sources.size,
  };
};
