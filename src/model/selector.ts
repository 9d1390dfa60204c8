export type Labels = Readonly<Record<string, string>>;

/** A label that stands for the node a pod is on. */
export const hostnameLabel = "kubernetes.io/hostname";

/** Whether every wanted label is there with this value; nothing wanted selects nothing, as in a Service. */
export const selects = (selector: Labels | undefined, labels: Labels): boolean => {
  const wanted = Object.entries(selector ?? {});
  return wanted.length > 0 && wanted.every(([label, value]) => labels[label] === value);
};

/** Whether a policy selects nobody in particular, and so is for its whole namespace, or the mesh. */
export const isForAll = ({
  spec,
}: {
  readonly spec: { readonly selector?: { readonly matchLabels?: Labels } };
}): boolean => Object.keys(spec.selector?.matchLabels ?? {}).length === 0;

/** As `selects`, but nothing wanted selects everything, as in the mesh's own kinds. */
export const selectsOrAll = (selector: Labels | undefined, labels: Labels): boolean =>
  Object.entries(selector ?? {}).every(([label, value]) => labels[label] === value);
