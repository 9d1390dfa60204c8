import { clone, type Message } from "@bufbuild/protobuf";
import type { Operation } from "../../api/networking/envoy-filter.js";
import { merge } from "./merge.js";
import { type CompiledPatch, typeOf } from "./patches.js";
import type { PatchReport } from "./report.js";
import { knownType } from "./types.js";
import { violationsOf } from "./violations.js";

export const isMerge = ({ operation }: { readonly operation: Operation }): boolean =>
  operation === "MERGE" || operation === "MERGE_AND_REPLACE_LIST";

const typeOfPatch = ({ applyTo }: CompiledPatch) => knownType(typeOf[applyTo as keyof typeof typeOf]);

/** A copy of the patch's value; the caller's type is that of `applyTo`. */
export const newValue = <T extends Message>({ value, ...patch }: CompiledPatch): T => {
  if (value === undefined) throw new Error(`${patch.operation} has no value`);
  return clone(typeOfPatch({ value, ...patch }), value) as T;
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

/** The first rule of Envoy's protos that the merge has broken: what was there before is not the patch's fault. */
const brokenRule = <T extends Message>(patch: CompiledPatch, before: T, after: T): string | undefined => {
  const type = typeOfPatch(patch);
  const violations = violationsOf(type, after);
  if (violations.length === 0) return undefined;
  const known = new Set(violationsOf(type, before).map(({ path, message }) => `${path} ${message}`));
  const broken = violations.find(({ path, message }) => !known.has(`${path} ${message}`));
  return broken === undefined ? undefined : `${broken.path} ${broken.message}`;
};

/** The patch's value laid over a copy of `object`; throws if Envoy would refuse the outcome. */
export const merged = <T extends Message>(patch: CompiledPatch, object: T): T => {
  const type = typeOfPatch(patch);
  const target = clone(type, object) as T;
  if (patch.value !== undefined)
    merge(type, target, patch.value, { replaceLists: patch.operation === "MERGE_AND_REPLACE_LIST" });
  const broken = brokenRule(patch, object, target);
  if (broken !== undefined) throw new Error(broken);
  return target;
};

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
    if (isMerge(patch)) current = attempt(patch, current, label, report, (before) => merged(patch, before), problem);
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
