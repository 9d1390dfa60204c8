import type { V1ResourceRequirements } from "@kubernetes/client-node";
import { type AnnotationSettings, annotations } from "./annotations.js";
import { amountOf } from "./parsers.js";
import { refuse } from "./refusal.js";

type Amounts = Readonly<Record<string, string>>;

/** One resource: what the annotations say wins; a default that contradicts them gives way to them. */
const reconcile = (
  defaults: readonly [request: string | undefined, limit: string | undefined],
  request: string | undefined,
  limit: string | undefined,
  names: readonly [string, string],
): readonly [request: string | undefined, limit: string | undefined] => {
  const resultingRequest = request ?? defaults[0];
  const resultingLimit = limit ?? defaults[1];
  if (resultingRequest === undefined || resultingLimit === undefined) return [resultingRequest, resultingLimit];
  if ((amountOf(resultingRequest) ?? 0) <= (amountOf(resultingLimit) ?? 0)) return [resultingRequest, resultingLimit];
  if (request !== undefined && limit !== undefined)
    refuse(
      `annotation ${names[0]}: "${request}" is more than annotation ${names[1]}: "${limit}"; raise the limit or lower the request`,
    );
  return request === undefined ? [resultingLimit, resultingLimit] : [resultingRequest, resultingRequest];
};

/** Merges the annotations into the mesh's defaults, key by key. Throws InjectionRefusal for a request above its limit. */
export const proxyResources = (
  defaults: V1ResourceRequirements | undefined,
  settings: AnnotationSettings,
): V1ResourceRequirements => {
  const requests: Record<string, string> = { ...(defaults?.requests as Amounts | undefined) };
  const limits: Record<string, string> = { ...(defaults?.limits as Amounts | undefined) };
  const set = (
    resource: "cpu" | "memory",
    request: string | undefined,
    limit: string | undefined,
    names: readonly [string, string],
  ): void => {
    const [newRequest, newLimit] = reconcile([requests[resource], limits[resource]], request, limit, names);
    if (newRequest !== undefined) requests[resource] = newRequest;
    if (newLimit !== undefined) limits[resource] = newLimit;
  };
  set("cpu", settings.proxyCPU, settings.proxyCPULimit, [annotations.proxyCPU.name, annotations.proxyCPULimit.name]);
  set("memory", settings.proxyMemory, settings.proxyMemoryLimit, [
    annotations.proxyMemory.name,
    annotations.proxyMemoryLimit.name,
  ]);
  return {
    ...defaults,
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
};

/** Worker threads for a CPU limit: one for each whole or begun core; undefined without a limit. */
export const threadsFor = (resources: V1ResourceRequirements): number | undefined => {
  const limit = resources.limits?.["cpu"];
  const cores = limit === undefined ? undefined : amountOf(limit);
  return cores === undefined || cores === 0 ? undefined : Math.ceil(cores);
};
