import type { Message } from "@bufbuild/protobuf";
import { newValue } from "./apply.js";
import type { CompiledPatch } from "./patches.js";
import type { PatchReport } from "./report.js";

export interface Sequence<T> {
  /** Of the object that holds the list, for reports. */
  readonly label: string;
  /** The name of the item that the patch is placed by or acts on, undefined if it names none. */
  readonly anchorOf: (patch: CompiledPatch) => string | undefined;
  readonly matches: (patch: CompiledPatch, item: T) => boolean;
  /** Ends the traffic's way: additions go before a last one. */
  readonly isTerminal?: (item: T) => boolean;
  /** Whether Envoy takes this order. */
  readonly endsWell?: (items: readonly T[]) => boolean;
  /** Where ADD puts its value; before a terminal last one if this does not say. */
  readonly placeOf?: (patch: CompiledPatch, items: readonly T[]) => number | undefined;
}

type Note = (report: PatchReport) => void;

const terminalCure =
  "the list must end in one filter that ends the traffic's way, as the router does; use REPLACE or INSERT_BEFORE";

const inserted = <T>(items: readonly T[], index: number, item: T): T[] => [
  ...items.slice(0, index),
  item,
  ...items.slice(index),
];

/** The list after one operation; a text says why it does nothing. */
const step = <T extends Message>(items: readonly T[], patch: CompiledPatch, list: Sequence<T>): T[] | string => {
  const anchor = list.anchorOf(patch);
  const isTerminal = list.isTerminal ?? (() => false);
  const last = items.at(-1);
  const end = last !== undefined && isTerminal(last) ? items.length - 1 : items.length;
  const found = items.findIndex((item) => list.matches(patch, item));
  const absent = `${list.label} has no ${anchor}, which match names`;
  switch (patch.operation) {
    case "ADD":
      return inserted(items, list.placeOf?.(patch, items) ?? end, newValue<T>(patch));
    case "INSERT_FIRST":
      return anchor !== undefined && found < 0 ? absent : inserted(items, 0, newValue<T>(patch));
    case "INSERT_BEFORE":
      if (anchor === undefined) return inserted(items, 0, newValue<T>(patch));
      return found < 0 ? absent : inserted(items, found, newValue<T>(patch));
    case "INSERT_AFTER":
      if (anchor === undefined) return inserted(items, end, newValue<T>(patch));
      return found < 0 ? absent : inserted(items, found + 1, newValue<T>(patch));
    case "REMOVE":
      return found < 0 ? absent : items.filter((item) => !list.matches(patch, item));
    case "REPLACE":
      return found < 0 ? absent : items.map((item) => (list.matches(patch, item) ? newValue<T>(patch) : item));
    default:
      return [...items];
  }
};

const run = <T extends Message>(
  items: T[],
  patches: readonly CompiledPatch[],
  list: Sequence<T>,
  isGuarded: boolean,
): { readonly items: T[]; readonly notes: readonly Note[] } => {
  const notes: Note[] = [];
  let current = items;
  for (const patch of patches) {
    const next = step(current, patch, list);
    if (typeof next === "string") notes.push((report) => report.missed(patch, next));
    else if (isGuarded && list.endsWell?.(next) === false)
      notes.push((report) => report.failed(patch, list.label, terminalCure));
    else {
      current = next;
      notes.push((report) => report.applied(patch));
    }
  }
  return { items: current, notes };
};

/**
 * Insertions, additions, replacements and removals in a list whose order counts, one after another. A list that ended in
 * a terminal item still does: else the patches that break it are left out.
 */
export const editSequence = <T extends Message>(
  items: T[],
  patches: readonly CompiledPatch[],
  list: Sequence<T>,
  report: PatchReport,
): T[] => {
  if (patches.length === 0) return items;
  const { endsWell = () => true } = list;
  let result = run(items, patches, list, false);
  if (endsWell(items) && !endsWell(result.items)) result = run(items, patches, list, true);
  for (const note of result.notes) note(report);
  return result.items;
};
