import type { Kind } from "../api/kubernetes.js";

type Fields = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const without = (object: Fields, fields: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(object).filter(([field]) => !fields.includes(field)));

const within = (object: Fields, field: string, change: (value: Fields) => Fields): Fields => {
  const value = object[field];
  return isObject(value) ? { ...object, [field]: change(value) } : object;
};

const each = (object: Fields, field: string, change: (value: Fields) => Fields): Fields => {
  const value = object[field];
  return Array.isArray(value)
    ? { ...object, [field]: value.map((item) => (isObject(item) ? change(item) : item)) }
    : object;
};

const stripContainer = (container: Fields): Fields =>
  without(container, ["args", "command", "env", "envFrom", "volumeMounts", "volumeDevices"]);

const stripPod = (pod: Fields): Fields => {
  const spec = within(pod, "spec", (fields) =>
    each(
      each(without(fields, ["volumes", "tolerations", "affinity"]), "containers", stripContainer),
      "initContainers",
      stripContainer,
    ),
  );
  return within(spec, "status", (status) =>
    without(status, ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]),
  );
};

const stripNode = (node: Fields): Fields =>
  within(
    within(node, "status", (status) => without(status, ["images", "conditions", "volumesInUse", "volumesAttached"])),
    "spec",
    (spec) => without(spec, ["podCIDR"]),
  );

/**
 * Leaves out what the mesh never reads and what would fill the memory of a control plane of a large cluster: managed
 * fields, the last applied configuration, containers' commands and environment (which may hold secrets), images of nodes.
 */
export const stripObject = (kind: Kind, object: object): object => {
  const stripped = within(object as Fields, "metadata", (metadata) =>
    within(without(metadata, ["managedFields", "selfLink"]), "annotations", (annotations) =>
      without(annotations, ["kubectl.kubernetes.io/last-applied-configuration"]),
    ),
  );
  if (kind === "Pod") return stripPod(stripped);
  return kind === "Node" ? stripNode(stripped) : stripped;
};
