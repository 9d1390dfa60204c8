import { checkLabels } from "../names.js";
import { isObject } from "../normalize.js";

/** Labels of a selector that can be read; undefined, for all workloads, if any of them cannot. */
export const readableSelector = (
  selector: unknown,
): { readonly matchLabels: Readonly<Record<string, string>> } | undefined => {
  const labels = isObject(selector) ? selector["matchLabels"] : undefined;
  if (!isObject(labels) || !Object.values(labels).every((value) => typeof value === "string")) return undefined;
  const matchLabels = labels as Readonly<Record<string, string>>;
  return checkLabels("", matchLabels).length === 0 ? { matchLabels } : undefined;
};
