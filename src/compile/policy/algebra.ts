import { create } from "@bufbuild/protobuf";
import {
  type Permission,
  PermissionSchema,
  type Principal,
  PrincipalSchema,
} from "../../proto/envoy/config/rbac/v3/rbac_pb.js";

/** How conditions of one kind are put together. */
export interface Algebra<Condition> {
  readonly any: () => Condition;
  readonly all: (conditions: readonly Condition[]) => Condition;
  /** Throws if there are none: nothing to choose from is no condition. */
  readonly some: (conditions: readonly Condition[]) => Condition;
  readonly not: (condition: Condition) => Condition;
}

const nothing = (): never => {
  throw new Error("an empty list");
};

export const permissions: Algebra<Permission> = {
  any: () => create(PermissionSchema, { rule: { case: "any", value: true } }),
  all: (rules) =>
    rules.length === 0
      ? permissions.any()
      : rules.length === 1
        ? rules[0]!
        : create(PermissionSchema, { rule: { case: "andRules", value: { rules: [...rules] } } }),
  some: (rules) =>
    rules.length === 0
      ? nothing()
      : rules.length === 1
        ? rules[0]!
        : create(PermissionSchema, { rule: { case: "orRules", value: { rules: [...rules] } } }),
  not: (value) => create(PermissionSchema, { rule: { case: "notRule", value } }),
};

export const principals: Algebra<Principal> = {
  any: () => create(PrincipalSchema, { identifier: { case: "any", value: true } }),
  all: (ids) =>
    ids.length === 0
      ? principals.any()
      : ids.length === 1
        ? ids[0]!
        : create(PrincipalSchema, { identifier: { case: "andIds", value: { ids: [...ids] } } }),
  some: (ids) =>
    ids.length === 0
      ? nothing()
      : ids.length === 1
        ? ids[0]!
        : create(PrincipalSchema, { identifier: { case: "orIds", value: { ids: [...ids] } } }),
  not: (value) => create(PrincipalSchema, { identifier: { case: "notId", value } }),
};

/** What a list of values, and one of values that shall not be, ask for. */
export const restriction = <Condition>(
  { some, not }: Algebra<Condition>,
  match: (value: string) => Condition,
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
): readonly Condition[] => [
  ...(values === undefined ? [] : [some(values.map(match))]),
  ...(notValues === undefined ? [] : [not(some(notValues.map(match)))]),
];
