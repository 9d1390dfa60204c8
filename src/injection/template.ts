import type { V1ObjectMeta, V1PodSpec } from "@kubernetes/client-node";
import jsonPatch, { type Operation } from "fast-json-patch";
import { parse as parseYaml } from "yaml";
import { refuse } from "./refusal.js";

/** The values a template may use, and what they are; a name outside this table is an error in the template. */
export const templateValues = {
  canonicalName: "the workload's canonical name",
  canonicalRevision: "the workload's canonical revision",
  workloadName: "the name of the Deployment, or other owner, that the pod is of",
  revision: "the control plane's revision",
  namespace: "the pod's namespace",
  defaultContainer: "name of the pod's first own container",
  proxyImage: "image of the proxy",
  initImage: "image of the init container",
  imagePullPolicy: "pull policy of both, or nothing",
  imagePullSecrets: "list of the mesh's pull secrets, or nothing",
  proxyArguments: "list of Envoy's arguments, with the bootstrap",
  proxyEnvironment: "list of further environment variables of the proxy",
  proxyResources: "resource requirements of the proxy",
  initResources: "resource requirements of the init container",
  initSecurityContext: "security context of the init container",
  routesContainers: "with TPROXY the init containers that route to the proxy, one for each IP family, else none",
  proxySecurityContext: "security context of the proxy",
  lifecycle: "lifecycle hooks of the proxy, or nothing",
  startupProbe: "startup probe of the proxy, once a second, so that it is ready as soon as it can be",
  readinessInitialDelaySeconds: "of the proxy's readiness probe",
  readinessPeriodSeconds: "of the proxy's readiness probe",
  readinessFailureThreshold: "of the proxy's readiness probe",
  redirectCommand: "command of the init container",
  redirectArgs: "arguments of the init container",
  userVolumes: "list of volumes from the annotation userVolume, and of SPIRE's socket if the mesh has it",
  userVolumeMounts:
    "list of volume mounts from the annotation userVolumeMount, and of SPIRE's socket if the mesh has it",
} as const;

export type TemplateValueName = keyof typeof templateValues;
export type TemplateValues = Readonly<Record<TemplateValueName, unknown>>;

/** What a template adds to a pod. */
export interface PodOverlay {
  readonly metadata?: V1ObjectMeta;
  readonly spec: Partial<V1PodSpec>;
}

export interface InjectionTemplate {
  /** Throws InjectionRefusal if an overlay does not fit what the template gave for these values. */
  readonly render: (values: TemplateValues) => PodOverlay;
}

type Render = (values: TemplateValues) => unknown;

const placeholder = /\$?\$\{([^}]*)\}/g;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const knownName = (name: string): TemplateValueName => {
  if (!Object.hasOwn(templateValues, name))
    throw new Error(
      `injection template: \${${name}} is not a value injection has; use one of ${Object.keys(templateValues).join(", ")}, or $\${ for a plain \${`,
    );
  return name as TemplateValueName;
};

const compileText = (text: string): Render => {
  const matches = [...text.matchAll(placeholder)];
  if (matches.length === 0) return () => text;
  const [first] = matches;
  if (first![0] === text && !text.startsWith("$$")) {
    const name = knownName(first![1]!);
    return (values) => values[name];
  }
  for (const match of matches) if (!match[0].startsWith("$$")) knownName(match[1]!);
  return (values) =>
    text.replace(placeholder, (whole, name: string) => {
      if (whole.startsWith("$$")) return whole.slice(1);
      const value = values[name as TemplateValueName];
      return typeof value === "object" ? JSON.stringify(value) : String(value ?? "");
    });
};

const compileValue = (value: unknown): Render => {
  if (typeof value === "string") return compileText(value);
  if (Array.isArray(value)) {
    const items = value.map((item) => ({
      render: compileValue(item),
      // Only a placeholder can give a list in a list's place; a list the template itself nests stays nested.
      splice: typeof item === "string",
    }));
    return (values) =>
      items.flatMap(({ render, splice }) => {
        const item = render(values);
        if (item === undefined) return [];
        return splice && Array.isArray(item) ? item : [item];
      });
  }
  if (!isObject(value)) return () => value;
  const fields = Object.entries(value).map(([field, item]) => [field, compileValue(item)] as const);
  return (values) => {
    const rendered: [string, unknown][] = [];
    for (const [field, render] of fields) {
      const item = render(values);
      if (item !== undefined) rendered.push([field, item]);
    }
    return Object.fromEntries(rendered);
  };
};

const requireContainers = (overlay: unknown): PodOverlay => {
  const spec = isObject(overlay) ? overlay["spec"] : undefined;
  const named = (list: unknown, name: string): boolean =>
    Array.isArray(list) && list.some((item) => isObject(item) && item["name"] === name);
  if (!isObject(spec) || !named(spec["containers"], "istio-proxy"))
    throw new Error("injection template: spec.containers holds no container istio-proxy; add it");
  if (!named(spec["initContainers"], "istio-init"))
    throw new Error("injection template: spec.initContainers holds no container istio-init; add it");
  for (const field of ["containers", "initContainers", "volumes", "imagePullSecrets"]) {
    const list = spec[field];
    const wellFormed =
      list === undefined ||
      (Array.isArray(list) && list.every((item) => isObject(item) && typeof item["name"] === "string"));
    if (!wellFormed) throw new Error(`injection template: spec.${field} is not a list of objects with a name`);
  }
  return overlay as PodOverlay;
};

const parseDocument = (text: string, what: string): unknown => {
  try {
    return parseYaml(text);
  } catch (error) {
    throw new Error(`${what} is not YAML: ${(error as Error).message.split("\n")[0]}`);
  }
};

const readOverlays = (text: string): readonly Operation[] => {
  const operations = parseDocument(text, "injection overlays") ?? [];
  if (!Array.isArray(operations))
    throw new Error(
      "injection overlays: not a list of RFC 6902 operations; write [{op: replace, path: /spec/…, value: …}]",
    );
  operations.forEach((operation, index) => {
    const fault = jsonPatch.validate([operation as Operation]);
    if (fault !== undefined) throw new Error(`injection overlays: operation ${index}: ${fault.name}`);
  });
  return operations as readonly Operation[];
};

/**
 * Reads a template (YAML of the shape of templates/sidecar.yaml) and RFC 6902 overlays (YAML or JSON list). Overlays
 * apply to what the template gives, before it is merged into the pod, so that their indices do not depend on the pod.
 * Throws an Error that names the fault and its cure.
 */
export const parseTemplate = (text: string, overlays = ""): InjectionTemplate => {
  const document = parseDocument(text, "injection template");
  if (isObject(document))
    for (const field of Object.keys(document))
      if (field !== "metadata" && field !== "spec")
        throw new Error(`injection template: unknown field ${field}; only metadata and spec are allowed`);
  const operations = readOverlays(overlays);
  requireContainers(document && withoutPlaceholders(document));
  const render = compileValue(document);
  if (operations.length === 0) return { render: (values) => render(values) as PodOverlay };
  return {
    render: (values) => {
      // A copy: overlays change in place, and values are shared between pods.
      const overlay = structuredClone(render(values)) as object;
      try {
        return requireContainers(jsonPatch.applyPatch(overlay, operations, true).newDocument);
      } catch (error) {
        return refuse(
          `the mesh's injection overlays do not fit its template: ${(error as Error).message.split("\n")[0]}; ask the operator to correct the overlays`,
        );
      }
    },
  };
};

/** The document without list items and fields that are placeholders alone, whose shape is known only at rendering. */
const withoutPlaceholders = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.filter((item) => !isPlaceholder(item)).map(withoutPlaceholders);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => !isPlaceholder(item))
      .map(([field, item]) => [field, withoutPlaceholders(item)]),
  );
};

const isPlaceholder = (value: unknown): boolean => typeof value === "string" && /^\$\{[^}]*\}$/.test(value);
