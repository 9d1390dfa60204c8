import type { V1Container } from "@kubernetes/client-node";

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Lists that merge item by item, and what tells items apart; every other list is replaced whole. */
const itemKeys: ReadonlyMap<string, (item: Json) => string> = new Map([
  ["containers", (item: Json) => String(item["name"])],
  ["initContainers", (item: Json) => String(item["name"])],
  ["volumes", (item: Json) => String(item["name"])],
  ["imagePullSecrets", (item: Json) => String(item["name"])],
  ["env", (item: Json) => String(item["name"])],
  ["ports", (item: Json) => `${item["containerPort"]}/${item["protocol"] ?? "TCP"}`],
  ["volumeMounts", (item: Json) => String(item["mountPath"])],
  ["volumeDevices", (item: Json) => String(item["devicePath"])],
  ["hostAliases", (item: Json) => String(item["ip"])],
]);

const wholeObjects: ReadonlySet<string> = new Set(["preStop", "postStart", "valueFrom"]);
const probes: ReadonlySet<string> = new Set(["livenessProbe", "readinessProbe", "startupProbe"]);
const handlers = ["httpGet", "tcpSocket", "exec", "grpc"];
const mergedItems: ReadonlySet<string> = new Set(["containers", "initContainers"]);

const mergeProbe = (under: Json, over: Json): Json => {
  const replaced = handlers.some((handler) => over[handler] !== undefined);
  const kept = replaced ? Object.entries(under).filter(([field]) => !handlers.includes(field)) : Object.entries(under);
  return { ...Object.fromEntries(kept), ...over };
};

const mergeValue = (field: string, under: unknown, over: unknown): unknown => {
  if (over === undefined || over === null) return under;
  if (under === undefined || under === null) return over;
  if (Array.isArray(under) && Array.isArray(over)) {
    const key = itemKeys.get(field);
    return key === undefined ? over : mergeItems(field, under, over, key);
  }
  if (!isObject(under) || !isObject(over) || wholeObjects.has(field)) return over;
  return probes.has(field) ? mergeProbe(under, over) : mergeObject(under, over);
};

const mergeItems = (
  field: string,
  under: readonly Json[],
  over: readonly Json[],
  key: (item: Json) => string,
): readonly Json[] => {
  const wins = new Map(over.map((item) => [key(item), item]));
  const merged = under.map((item) => {
    const winner = wins.get(key(item));
    wins.delete(key(item));
    if (winner === undefined) return item;
    return mergedItems.has(field) ? mergeObject(item, winner) : winner;
  });
  return [...merged, ...wins.values()];
};

/** `over` wins, field by field as Kubernetes' strategic merge does; the items of `under` come first in lists. */
export const mergeObject = (under: Json, over: Json): Json => {
  const merged: [string, unknown][] = [];
  for (const [field, value] of Object.entries(under)) merged.push([field, mergeValue(field, value, over[field])]);
  for (const [field, value] of Object.entries(over)) if (!Object.hasOwn(under, field)) merged.push([field, value]);
  return Object.fromEntries(merged);
};

/** The template's container with what the user wrote for it; `image: auto` stands for the template's image. */
export const mergeContainer = (template: V1Container, user: V1Container | undefined): V1Container => {
  if (user === undefined) return template;
  const { image, imagePullPolicy, ...rest } = user;
  const automatic = image === undefined || image === "" || image === "auto";
  const own = {
    ...rest,
    ...(automatic ? {} : { image }),
    // The API server has filled in "Always" for the tagless "auto" before we see the pod.
    ...(imagePullPolicy === undefined || (automatic && imagePullPolicy === "Always") ? {} : { imagePullPolicy }),
  };
  return mergeObject(template as unknown as Json, own as unknown as Json) as unknown as V1Container;
};

/** Adds a template's pod-level fields to a user's; the user's win, and the user's items come first in lists. */
export const addUnder = <Target extends object>(user: Target, template: object): Target => {
  const result: [string, unknown][] = Object.entries(user);
  const fields = new Map(result);
  for (const [field, value] of Object.entries(template)) {
    const own = fields.get(field);
    const key = itemKeys.get(field);
    if (Array.isArray(own) && Array.isArray(value) && key !== undefined) {
      const taken = new Set(own.map(key));
      fields.set(field, [...own, ...(value as Json[]).filter((item) => !taken.has(key(item)))]);
    } else fields.set(field, mergeValue(field, value, own));
  }
  return Object.fromEntries(fields) as Target;
};
