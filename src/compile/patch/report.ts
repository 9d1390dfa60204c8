import type { Finding } from "../../api/kind.js";
import type { CompiledPatch, KeyedFinding, PatchSet } from "./patches.js";

/**
 * Collects what became of patches, over as many resources and proxies as it is given to. One that is kept for longer
 * than the filters must be made anew with them.
 */
export interface PatchReport {
  /** The patch has changed something. */
  readonly applied: (patch: CompiledPatch) => void;
  /** What the patch names was not there: a reason for a patch that changes nothing at all. */
  readonly missed: (patch: CompiledPatch, reason: string) => void;
  /** What the patch would have made cannot be: that object stays as it was. */
  readonly failed: (patch: CompiledPatch, object: string, reason: string) => void;
  readonly findingOf: (patch: CompiledPatch) => Finding | undefined;
}

export const createPatchReport = (): PatchReport => {
  const applied = new Set<string>();
  const missed = new Map<string, string>();
  const failed = new Map<string, Map<string, string>>();
  const idOf = ({ key, path }: CompiledPatch): string => `${key} ${path}`;
  return {
    applied: (patch) => {
      applied.add(idOf(patch));
    },
    missed: (patch, reason) => {
      if (!missed.has(idOf(patch))) missed.set(idOf(patch), reason);
    },
    failed: (patch, object, reason) => {
      const objects = failed.get(idOf(patch)) ?? new Map<string, string>();
      objects.set(object, reason);
      failed.set(idOf(patch), objects);
    },
    findingOf: (patch) => {
      const { path } = patch;
      const objects = failed.get(idOf(patch));
      if (objects !== undefined) {
        const [object, reason] = [...objects].sort(([a], [b]) => (a < b ? -1 : 1))[0]!;
        const others = objects.size === 1 ? "" : ` (and ${objects.size - 1} more)`;
        return { severity: "error", path, message: `not applied to ${object}${others}: ${reason}` };
      }
      if (applied.has(idOf(patch))) return undefined;
      const reason =
        missed.get(idOf(patch)) ?? "nothing in any proxy's configuration fits match; see docs/envoyfilter.md";
      return { severity: "warning", path, message: `the patch changes nothing: ${reason}` };
    },
  };
};

/** Forgets everything. */
export const unreported: PatchReport = {
  applied: () => {},
  missed: () => {},
  failed: () => {},
  findingOf: () => undefined,
};

/** What application has shown about the patches of a set, after everything has been patched with it. */
export const reportedFindings = (set: PatchSet, report: PatchReport): readonly KeyedFinding[] =>
  [...set.patches.values()].flat().flatMap((patch) => {
    const finding = report.findingOf(patch);
    return finding === undefined ? [] : [{ key: patch.key, finding }];
  });
