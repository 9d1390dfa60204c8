import type { V1Container, V1Pod, V1PodSpec } from "@kubernetes/client-node";
import jsonPatch from "fast-json-patch";
import { type AnnotationSettings, annotations, readAnnotations, written } from "./annotations.js";
import { statsPort } from "./bootstrap.js";
import { type InjectionStatus, type Originals, type Overrides, originalsOf, undoEarlier } from "./earlier.js";
import { imagesOf } from "./image.js";
import { addUnder, mergeContainer } from "./merge.js";
import { decide, refuseWithoutNetAdmin } from "./policy.js";
import { rewriteProbes } from "./probes.js";
import { mergeProxySettings, type ProxySettings, proxySettingsOf, readProxyConfig } from "./proxy-config.js";
import { InjectionRefusal, refuse } from "./refusal.js";
import { renderArguments, renderRules, routesContainers } from "./render.js";
import { proxyResources } from "./resources.js";
import {
  initSecurityContext,
  proxySecurityContext,
  proxyUserOf,
  sharedUserWarnings,
  takenPortWarnings,
} from "./security.js";
import { shapeFault, withoutNulls } from "./shape.js";
import { spireVolumeMounts, spireVolumes } from "./spire.js";
import { scrapeAnnotations, telemetryEnvironment } from "./telemetry.js";
import type { PodOverlay, TemplateValues } from "./template.js";
import type { InjectionRequest, InjectionResult } from "./types.js";
import { canonicalName, canonicalRevision, podName, runsToCompletion, workloadNameLabel } from "./workload.js";

const proxyName = "istio-proxy";
const initName = "istio-init";
const health = { httpGet: { path: "/healthz/ready", port: 15021 } };

/** A user's pod taken apart: its own version of the containers that injection adds, and all others. */
interface Parts {
  readonly proxy: V1Container | undefined;
  readonly proxyIsInit: boolean;
  readonly init: V1Container | undefined;
  readonly rest: V1Pod;
}

const takeApart = (pod: V1Pod): Parts => {
  const containers = pod.spec!.containers;
  const initContainers = pod.spec!.initContainers ?? [];
  const ordinary = containers.find(({ name }) => name === proxyName);
  const native = initContainers.find(({ name }) => name === proxyName);
  const init = initContainers.find(({ name }) => name === initName);
  const proxy = native ?? ordinary;
  if (proxy === undefined && init === undefined) return { proxy, proxyIsInit: false, init, rest: pod };
  const spec: V1PodSpec = {
    ...pod.spec!,
    containers: containers.filter((container) => container !== ordinary),
    initContainers: initContainers.filter((container) => container !== native && container !== init),
  };
  return { proxy, proxyIsInit: native !== undefined, init, rest: { ...pod, spec } };
};

/** What calls the proxy before ordinary containers are up: the kubelet waits for these before it starts the next one. */
const proxyFirst = (pod: V1Pod): string | undefined => {
  const { containers, initContainers = [] } = pod.spec!;
  const hook = [...containers, ...initContainers].find(({ lifecycle }) => lifecycle?.postStart?.httpGet !== undefined);
  if (hook !== undefined) return `container ${hook.name} has an HTTP postStart hook`;
  const started = initContainers.find(
    ({ startupProbe }) => startupProbe !== undefined && startupProbe.exec === undefined,
  );
  return started === undefined ? undefined : `init container ${started.name} has a startup probe`;
};

/** Whether the proxy is a native sidecar. Throws InjectionRefusal if the pod's settings contradict each other. */
const isNative = (parts: Parts, settings: AnnotationSettings, held: boolean): boolean => {
  const annotated = settings.nativeSidecar;
  const before = settings.rewriteAppHTTPProbers === false ? undefined : proxyFirst(parts.rest);
  if (annotated === false && parts.proxyIsInit)
    refuse(
      'annotation sidecar.istio.io/nativeSidecar: "false": the pod has istio-proxy among its init containers; move it to the containers or remove the annotation',
    );
  if (annotated === false && held)
    refuse(
      'annotation sidecar.istio.io/nativeSidecar: "false": holdApplicationUntilProxyStarts needs a native sidecar, whose startup probe makes the kubelet wait; remove one of the two',
    );
  if (annotated === false && before !== undefined)
    refuse(
      `annotation sidecar.istio.io/nativeSidecar: "false": ${before}, which only a native sidecar can serve in time; remove the annotation, or write sidecar.istio.io/rewriteAppHTTPProbers: "false"`,
    );
  return annotated ?? (parts.proxyIsInit || held || before !== undefined || runsToCompletion(parts.rest));
};

const drainSeconds = (pod: V1Pod, proxy: ProxySettings): number =>
  // Nobody waits for a pod that ended by itself, and Kubernetes refuses a sleep longer than the grace period.
  runsToCompletion(pod)
    ? 0
    : Math.min(proxy.terminationDrainSeconds ?? 5, pod.spec?.terminationGracePeriodSeconds ?? 30);

/** The mesh's defaults under the mesh's ProxyConfig, the namespace's, the pod's annotation and its own ProxyConfig. */
const proxySettings = (
  { values, proxyConfigs }: InjectionRequest,
  { proxyConfig }: AnnotationSettings,
): ProxySettings =>
  [
    proxySettingsOf(proxyConfigs?.mesh),
    proxySettingsOf(proxyConfigs?.namespace),
    proxyConfig ?? {},
    proxySettingsOf(proxyConfigs?.workload),
  ].reduce(mergeProxySettings, readProxyConfig(values.defaultConfig));

interface Rendering {
  readonly values: TemplateValues;
  readonly rewritten: V1Pod;
  /** They tell the control plane, or Prometheus, what the pod's own annotations do not. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

const templateValues = (
  request: InjectionRequest,
  parts: Parts,
  settings: AnnotationSettings,
  proxy: ProxySettings,
): Rendering => {
  const { values: defaults, namespace } = request;
  const { rest } = parts;
  const mode = settings.interceptionMode ?? proxy.interceptionMode ?? "REDIRECT";
  const user = proxyUserOf(namespace, parts.proxy, mode);
  const resources = proxyResources(defaults.resources, settings);
  const rules = renderRules(settings, mode, user);
  const rewriting =
    settings.rewriteAppHTTPProbers === false
      ? { containers: rest.spec!.containers, initContainers: rest.spec!.initContainers ?? [], probes: [] }
      : rewriteProbes(rest);
  const spec: V1PodSpec = { ...rest.spec!, containers: rewriting.containers };
  if (rest.spec!.initContainers !== undefined) spec.initContainers = rewriting.initContainers;
  const images = imagesOf(request, settings, proxy);
  const drain = drainSeconds(rest, proxy);
  const environment = [
    ...telemetryEnvironment(rest, request.cluster.clusterId),
    ...(defaults.env ?? []),
    ...Object.entries(proxy.proxyMetadata ?? {}).map(([name, value]) => ({ name, value })),
  ];
  return {
    values: {
      canonicalName: canonicalName(rest),
      canonicalRevision: canonicalRevision(rest),
      workloadName: workloadNameLabel(rest),
      revision: request.revision,
      namespace: namespace.name,
      defaultContainer: rest.spec!.containers[0]?.name,
      proxyImage: images.proxy,
      initImage: images.init,
      imagePullPolicy: defaults.imagePullPolicy,
      imagePullSecrets: defaults.imagePullSecrets?.length ? defaults.imagePullSecrets : undefined,
      proxyArguments: renderArguments(request, rest, settings, proxy, {
        mode,
        resources: mergeContainer({ name: proxyName, resources }, parts.proxy).resources ?? {},
        probes: rewriting.probes,
      }),
      proxyEnvironment: environment,
      proxyResources: resources,
      initResources: defaults.initResources ?? {},
      initSecurityContext,
      routesContainers: routesContainers(mode, request.cluster.ipFamilies, images.init, defaults.initResources ?? {}),
      proxySecurityContext: proxySecurityContext(user, mode),
      lifecycle: drain === 0 ? undefined : { preStop: { sleep: { seconds: drain } } },
      startupProbe: { ...health, periodSeconds: 1, failureThreshold: 600, timeoutSeconds: 3 },
      readinessInitialDelaySeconds: settings.readinessInitialDelaySeconds ?? 1,
      readinessPeriodSeconds: settings.readinessPeriodSeconds ?? 15,
      readinessFailureThreshold: settings.readinessFailureThreshold ?? 4,
      redirectCommand: rules.command,
      redirectArgs: rules.args,
      // With the user's, so that a template of one's own need not know of SPIRE.
      userVolumes: [...spireVolumes(request.cluster.spire), ...(settings.userVolume ?? [])],
      userVolumeMounts: [...spireVolumeMounts(request.cluster.spire), ...(settings.userVolumeMount ?? [])],
    },
    rewritten: { ...rest, spec },
    annotations: {
      ...scrapeAnnotations(rest, statsPort),
      ...(mode === "TPROXY" ? { [annotations.interceptionMode.name]: mode } : {}),
    },
    warnings: [...images.warnings, ...sharedUserWarnings(rest, user), ...takenPortWarnings(rest)],
  };
};

const named = (containers: readonly V1Container[] | undefined, name: string): V1Container =>
  (containers ?? []).find((container) => container.name === name)!;

/** Puts the template's containers where they belong: a native sidecar starts first, an ordinary one takes traffic last. */
const addContainers = (pod: V1Pod, overlay: PodOverlay, parts: Parts, native: boolean): V1Pod => {
  const { containers = [], initContainers = [], ...fields } = overlay.spec;
  const proxy = mergeContainer(named(containers, proxyName), parts.proxy);
  const init = mergeContainer(named(initContainers, initName), parts.init);
  const extra = containers.filter(({ name }) => name !== proxyName);
  const extraInit = initContainers.filter(({ name }) => name !== initName);
  const spec = addUnder(addUnder(pod.spec!, fields), { containers: extra });
  const own = spec.initContainers ?? [];
  const ownNames = new Set(own.map(({ name }) => name));
  const network = [...extraInit.filter(({ name }) => !ownNames.has(name)), init];
  const { restartPolicy: _, ...ordinary } = proxy;
  return {
    ...pod,
    spec: {
      ...spec,
      containers: native ? spec.containers : [...spec.containers, ordinary],
      initContainers: native ? [...network, { ...proxy, restartPolicy: "Always" }, ...own] : [...own, ...network],
    },
  };
};

/** Names in `after` that are not in `before`, in Istio's form: null for none. */
const added = (
  before: readonly { readonly name?: string }[] | undefined,
  after: readonly { readonly name?: string }[] | undefined,
): readonly string[] | null => {
  const had = new Set((before ?? []).map(({ name }) => name));
  const names = (after ?? []).flatMap(({ name }) => (name === undefined || had.has(name) ? [] : [name]));
  return names.length === 0 ? null : names;
};

const recordsOf = (parts: Parts, rewritten: V1Pod, injected: V1Pod, revision: string): Record<string, string> => {
  const before = parts.rest.spec!;
  const after = injected.spec!;
  const status: InjectionStatus = {
    initContainers: added(before.initContainers, after.initContainers),
    containers: added(before.containers, after.containers),
    volumes: added(before.volumes, after.volumes),
    imagePullSecrets: added(before.imagePullSecrets, after.imagePullSecrets),
    revision,
  };
  const init = [...(parts.init ? [parts.init] : []), ...(parts.proxyIsInit ? [parts.proxy!] : [])];
  const overrides: Overrides = {
    ...(parts.proxy === undefined || parts.proxyIsInit ? {} : { containers: [parts.proxy] }),
    ...(init.length === 0 ? {} : { initContainers: init }),
  };
  const containers = originalsOf(before.containers, rewritten.spec!.containers);
  const initContainers = originalsOf(before.initContainers ?? [], rewritten.spec!.initContainers ?? []);
  const originals: Originals = {
    ...(containers === undefined ? {} : { containers }),
    ...(initContainers === undefined ? {} : { initContainers }),
  };
  return {
    [written.status]: JSON.stringify(status),
    ...(Object.keys(overrides).length === 0 ? {} : { [written.overrides]: JSON.stringify(overrides) }),
    ...(Object.keys(originals).length === 0 ? {} : { [written.originals]: JSON.stringify(originals) }),
  };
};

const inject = (request: InjectionRequest): InjectionResult => {
  const { namespace, revision } = request;
  const fault = shapeFault(request.pod);
  if (fault !== undefined) return refuse(fault);
  const decision = decide(request.pod, namespace, new Set([revision, ...(request.tags ?? [])]));
  if (!decision.inject) return { kind: "skipped", reason: decision.reason, asked: decision.asked };
  refuseWithoutNetAdmin(namespace);

  const original = undoEarlier(withoutNulls(request.pod));
  const { settings, warnings } = readAnnotations(original.metadata?.annotations ?? {});
  const proxy = proxySettings(request, settings);
  const parts = takeApart(original);
  const native = isNative(parts, settings, proxy.holdApplicationUntilProxyStarts === true);
  const rendering = templateValues(request, parts, settings, proxy);
  const overlay = request.template.render(rendering.values);
  const injected = addContainers(rendering.rewritten, overlay, parts, native);
  const metadata = addUnder(injected.metadata ?? {}, overlay.metadata ?? {});
  const pod: V1Pod = {
    ...injected,
    metadata: {
      ...metadata,
      labels: { ...metadata.labels, "istio.io/rev": revision },
      annotations: {
        ...metadata.annotations,
        ...rendering.annotations,
        ...recordsOf(parts, rendering.rewritten, injected, revision),
      },
    },
  };
  return {
    kind: "patched",
    pod,
    patch: jsonPatch.compare(request.pod, pod),
    warnings: [...warnings, ...rendering.warnings],
  };
};

/**
 * Gives the pod its sidecar, or says why not. Pure, and idempotent: an injected pod is first undone, then injected anew.
 * Never throws for what a user wrote; a mesh-wide fault (a `defaultConfig` that is wrong) throws an Error.
 */
export const injectPod = (request: InjectionRequest): InjectionResult => {
  try {
    return inject(request);
  } catch (error) {
    if (!(error instanceof InjectionRefusal)) throw error;
    return {
      kind: "refused",
      message: `pod ${podName(request.pod)} of namespace ${request.namespace.name} gets no sidecar: ${error.message}`,
    };
  }
};
