import type { Message } from "@bufbuild/protobuf";
import type { Operation } from "../../api/networking/envoy-filter.js";
import { merged } from "./merge.js";
import { type CompiledPatch, typeOf } from "./patches.js";
import type { PatchReport } from "./report.js";
import { knownType } from "./types.js";

export const isMerge = ({ operation }: { readonly operation: Operation }): boolean =>
  operation === "MERGE" || operation === "MERGE_AND_REPLACE_LIST";

const typeOfPatch = ({ applyTo }: CompiledPatch) => knownType(typeOf[applyTo as keyof typeof typeOf]);

/** The patch's value, shared by all that it goes into; the caller's type is that of `applyTo`. */
export const newValue = <T extends Message>({ operation, value }: CompiledPatch): T => {
  if (value === undefined) throw new Error(`${operation} has no value`);
  return value as T;
};

/** What `object` becomes by one patch, or itself, with the failure told, if that cannot be. */
export const attempt = <T>(
  patch: CompiledPatch,
  object: T,
  label: string,
  report: PatchReport,
  change: (object: T) => T,
  problem: (after: T) => string | undefined = () => undefined,
): T => {
  let reason: string | undefined;
  try {
    const after = change(object);
    reason = problem(after);
    if (reason === undefined) {
      report.applied(patch);
      return after;
    }
  } catch (error) {
    reason = (error as Error).message;
  }
  report.failed(patch, label, reason);
  return object;
};

/** The patch's value laid over `object`; throws if Envoy would refuse the outcome. */
export const mergedBy = <T extends Message>(patch: CompiledPatch, object: T): T =>
  patch.value === undefined
    ? object
    : merged(typeOfPatch(patch), object, patch.value, {
        replaceLists: patch.operation === "MERGE_AND_REPLACE_LIST",
      });

/** Merges, replacement and removal of one object, all of which match it; undefined when it is removed. */
export const patchObject = <T extends Message>(
  object: T,
  label: string,
  patches: readonly CompiledPatch[],
  report: PatchReport,
  problem: (after: T) => string | undefined = () => undefined,
): T | undefined => {
  const removals = patches.filter(({ operation }) => operation === "REMOVE");
  for (const patch of removals) report.applied(patch);
  if (removals.length > 0) return undefined;
  let current = object;
  for (const patch of patches)
    if (isMerge(patch)) current = attempt(patch, current, label, report, (before) => mergedBy(patch, before), problem);
    else if (patch.operation === "REPLACE")
      current = attempt(patch, current, label, report, () => newValue<T>(patch), problem);
  return current;
};

/** The same list when no item has changed, so that what is untouched stays the same object up to the root. */
export const mapped = <T>(items: T[], change: (item: T) => T | undefined): T[] => {
  const next = items.map(change);
  if (next.every((item, index) => item === items[index])) return items;
  return next.filter((item) => item !== undefined);
};
