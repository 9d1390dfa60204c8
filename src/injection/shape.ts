import type { V1Pod } from "@kubernetes/client-node";

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const lists = ["containers", "initContainers", "volumes", "imagePullSecrets"] as const;

/**
 * What is wrong with the shape of an object that should be a pod, as far as injection walks it; undefined if nothing.
 * The API server only sends pods, but the webhook's port is open to others in the cluster.
 */
export const shapeFault = (pod: unknown): string | undefined => {
  if (!isObject(pod)) return "the object is not a pod; send a v1 Pod";
  const { metadata, spec } = pod;
  if (!isObject(spec)) return "spec is missing; send a v1 Pod";
  if (!Array.isArray(spec["containers"])) return "spec.containers is not a list; send a v1 Pod";
  for (const field of lists) {
    const list = spec[field];
    if (list === undefined || list === null) continue;
    if (!Array.isArray(list)) return `spec.${field} is not a list`;
    for (const [index, item] of list.entries()) {
      if (!isObject(item)) return `spec.${field}[${index}] is not an object`;
      if (typeof item["name"] !== "string" && field !== "imagePullSecrets")
        return `spec.${field}[${index}].name is not a text`;
      for (const inner of ["env", "ports", "volumeMounts"])
        if (
          item[inner] !== undefined &&
          item[inner] !== null &&
          !(Array.isArray(item[inner]) && item[inner].every(isObject))
        )
          return `spec.${field}[${index}].${inner} is not a list of objects`;
    }
  }
  if (metadata === undefined || metadata === null) return undefined;
  if (!isObject(metadata)) return "metadata is not an object";
  for (const field of ["labels", "annotations"]) {
    const map = metadata[field];
    if (map === undefined || map === null) continue;
    if (!isObject(map) || !Object.values(map).every((value) => typeof value === "string"))
      return `metadata.${field} is not an object of texts`;
  }
  const owners = metadata["ownerReferences"];
  if (
    owners !== undefined &&
    owners !== null &&
    !(Array.isArray(owners) && owners.every((owner) => isObject(owner) && typeof owner["name"] === "string"))
  )
    return "metadata.ownerReferences is not a list of objects with a name";
  return undefined;
};

// Go writes the time of an object that does not exist yet as null; that one may stay.
const isEmpty = (field: string, value: unknown): boolean => value === null && field !== "creationTimestamp";

const isEmptied = (object: object | undefined): boolean =>
  Object.entries(object ?? {}).some(([field, value]) => isEmpty(field, value));

const nonNull = <Item extends object>(object: Item): Item =>
  Object.fromEntries(Object.entries(object).filter(([field, value]) => !isEmpty(field, value))) as Item;

/** YAML written by hand says `labels:` for none; the same pod if there is nothing of the kind. */
export const withoutNulls = (pod: V1Pod): V1Pod => {
  if (!isEmptied(pod) && !isEmptied(pod.metadata) && !isEmptied(pod.spec)) return pod;
  const { metadata, spec, ...rest } = nonNull(pod);
  return { ...rest, ...(metadata && { metadata: nonNull(metadata) }), ...(spec && { spec: nonNull(spec) }) };
};
