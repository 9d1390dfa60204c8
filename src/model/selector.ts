export type Labels = Readonly<Record<string, string>>;

/** A label that stands for the node a pod is on. */
export const hostnameLabel = "kubernetes.io/hostname";

/** Whether every wanted label is there with this value; nothing wanted selects nothing, as in a Service. */
export const selects = (selector: Labels | undefined, labels: Labels): boolean => {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([label, value]) => labels[label] === value);
};

/** As `selects`, but nothing wanted selects everything, as in the mesh's own kinds. */
export const selectsOrAll = (selector: Labels | undefined, labels: Labels): boolean =>
  Object.entries(selector ?? {}).every(([label, value]) => labels[label] === value);
