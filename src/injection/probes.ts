import type { V1Container, V1HTTPGetAction, V1LifecycleHandler, V1Pod, V1Probe } from "@kubernetes/client-node";
import { refuse } from "./refusal.js";

export const proberPort = 15020;

/** A check that the proxy makes of the application for the kubelet, asked at `path` on 15020. */
export interface AppProbe {
  readonly path: string;
  readonly kind: "http" | "https" | "tcp" | "grpc";
  readonly port: number;
  /** HTTP only: path and query at the application. */
  readonly targetPath?: string;
  /** HTTP only: the probe sets Host itself. */
  readonly hasHostHeader?: boolean;
  /** gRPC only. */
  readonly service?: string;
  readonly timeoutSeconds: number;
  readonly periodSeconds: number;
}

export interface RewrittenProbes {
  readonly containers: V1Container[];
  readonly initContainers: V1Container[];
  readonly probes: readonly AppProbe[];
}

const portNumber = (container: V1Container, port: number | string, field: string): number => {
  const named = container.ports?.find(({ name }) => name === port);
  const value = named?.containerPort ?? Number(port);
  if (Number.isInteger(value) && value > 0 && value < 65536) return value;
  return refuse(
    `container ${container.name}: ${field}: port "${port}" is neither a number from 1 to 65535 nor the name of one of its ports; correct the probe`,
  );
};

const timing = (probe: V1Probe): Pick<AppProbe, "timeoutSeconds" | "periodSeconds"> => ({
  timeoutSeconds: probe.timeoutSeconds ?? 1,
  periodSeconds: probe.periodSeconds ?? 10,
});

const httpTarget = (
  container: V1Container,
  action: V1HTTPGetAction,
  path: string,
  field: string,
): Omit<AppProbe, "timeoutSeconds" | "periodSeconds"> => {
  const target = action.path ?? "/";
  return {
    path,
    kind: action.scheme === "HTTPS" ? "https" : "http",
    port: portNumber(container, action.port as number | string, field),
    targetPath: target.startsWith("/") ? target : `/${target}`,
    hasHostHeader: action.httpHeaders?.some(({ name }) => name.toLowerCase() === "host") ?? false,
  };
};

/** A probe of another host than the pod is not the proxy's to answer. */
const isOwn = (action: { host?: string }): boolean => action.host === undefined || action.host === "";

const asked = (action: V1HTTPGetAction | undefined, path: string): V1HTTPGetAction => ({
  ...(action?.httpHeaders === undefined ? {} : { httpHeaders: action.httpHeaders }),
  path,
  port: proberPort,
  scheme: "HTTP",
});

const kinds = [
  ["livenessProbe", "livez"],
  ["readinessProbe", "readyz"],
  ["startupProbe", "startupz"],
] as const;

const hooks = [
  ["postStart", "poststartz"],
  ["preStop", "prestopz"],
] as const;

/** preStop and postStart calls have no timeout of their own; the pod's grace period ends them. */
const hookTimeoutSeconds = 3600;

const rewriteProbe = (
  container: V1Container,
  probe: V1Probe,
  path: string,
  field: string,
): { probe: V1Probe; app: AppProbe } | undefined => {
  const { httpGet, tcpSocket, grpc, ...rest } = probe;
  if (httpGet !== undefined && httpGet.port !== proberPort && isOwn(httpGet)) {
    return {
      probe: { ...rest, httpGet: asked(httpGet, path) },
      app: { ...httpTarget(container, httpGet, path, field), ...timing(probe) },
    };
  }
  if (tcpSocket !== undefined && isOwn(tcpSocket)) {
    const port = portNumber(container, tcpSocket.port as number | string, field);
    return { probe: { ...rest, httpGet: asked(undefined, path) }, app: { path, kind: "tcp", port, ...timing(probe) } };
  }
  if (grpc !== undefined) {
    const port = portNumber(container, grpc.port, field);
    const service = grpc.service === undefined || grpc.service === "" ? {} : { service: grpc.service };
    return {
      probe: { ...rest, httpGet: asked(undefined, path) },
      app: { path, kind: "grpc", port, ...service, ...timing(probe) },
    };
  }
  return undefined;
};

const rewriteContainer = (container: V1Container): { container: V1Container; probes: readonly AppProbe[] } => {
  const rewritten: V1Container = { ...container };
  const probes: AppProbe[] = [];
  for (const [field, suffix] of kinds) {
    const probe = container[field];
    const result = probe && rewriteProbe(container, probe, `/app-health/${container.name}/${suffix}`, field);
    if (!result) continue;
    rewritten[field] = result.probe;
    probes.push(result.app);
  }
  for (const [field, suffix] of hooks) {
    const action = container.lifecycle?.[field]?.httpGet;
    if (action === undefined || !isOwn(action) || action.port === proberPort) continue;
    const path = `/app-lifecycle/${container.name}/${suffix}`;
    const handler: V1LifecycleHandler = { httpGet: asked(action, path) };
    rewritten.lifecycle = { ...rewritten.lifecycle, [field]: handler };
    probes.push({
      ...httpTarget(container, action, path, `lifecycle.${field}`),
      timeoutSeconds: hookTimeoutSeconds,
      periodSeconds: 10,
    });
  }
  return { container: rewritten, probes };
};

/**
 * Points the probes and HTTP lifecycle hooks of the pod's own containers at the proxy, which makes them in the kubelet's
 * stead: in strict mutual TLS the kubelet could not, and a TCP probe would find the proxy's port, always open. `exec`
 * probes and probes of another host stay as they are. Throws InjectionRefusal for a port that cannot be told.
 */
export const rewriteProbes = (pod: V1Pod): RewrittenProbes => {
  const containers = (pod.spec?.containers ?? []).map(rewriteContainer);
  const initContainers = (pod.spec?.initContainers ?? []).map(rewriteContainer);
  return {
    containers: containers.map(({ container }) => container),
    initContainers: initContainers.map(({ container }) => container),
    probes: [...containers, ...initContainers].flatMap(({ probes }) => probes),
  };
};
