import type { HeaderOperations, Headers } from "../../api/networking/virtual-service.js";
import { isAuthority } from "../../api/networking/virtual-service-match.js";
import {
  HeaderValueOption_HeaderAppendAction as AppendAction,
  type HeaderValueOptionSchema,
} from "../../proto/envoy/config/core/v3/base_pb.js";
import type { Init } from "../init.js";

type HeaderValueOption = Init<typeof HeaderValueOptionSchema>;

/** The fields of a route and of a weighted cluster alike. */
export interface HeaderChanges {
  readonly requestHeadersToAdd: HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
}

/** Envoy lets no rule change these. */
const isFixed = (name: string): boolean => name.startsWith(":") || isAuthority(name);

const added = (headers: Readonly<Record<string, string>> | undefined, appendAction: AppendAction) =>
  Object.entries(headers ?? {})
    .filter(([name]) => !isFixed(name))
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([key, value]) => ({ header: { key, value }, appendAction }));

const additions = (operations: HeaderOperations | undefined): HeaderValueOption[] => [
  ...added(operations?.set, AppendAction.OVERWRITE_IF_EXISTS_OR_ADD),
  ...added(operations?.add, AppendAction.APPEND_IF_EXISTS_OR_ADD),
];

const removals = (operations: HeaderOperations | undefined): string[] =>
  (operations?.remove ?? []).filter((name) => !isFixed(name));

/** The changes of several places, those of the first made first. */
export const headerChanges = (places: readonly (Headers | undefined)[]): HeaderChanges => ({
  requestHeadersToAdd: places.flatMap((headers) => additions(headers?.request)),
  requestHeadersToRemove: places.flatMap((headers) => removals(headers?.request)),
  responseHeadersToAdd: places.flatMap((headers) => additions(headers?.response)),
  responseHeadersToRemove: places.flatMap((headers) => removals(headers?.response)),
});

const authorityIn = (headers: Readonly<Record<string, string>> | undefined): string | undefined =>
  Object.entries(headers ?? {}).findLast(([name]) => isAuthority(name))?.[1];

/** The authority that `host` in set or add asks for. */
export const authorityOf = (headers: Headers | undefined): string | undefined =>
  authorityIn(headers?.request?.set) ?? authorityIn(headers?.request?.add);
