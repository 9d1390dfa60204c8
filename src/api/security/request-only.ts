import { type AuthorizationRule, requestFields } from "./authorization-policy-spec.js";
import { isOfRequests, readConditionKey } from "./condition-key.js";

const fieldsOf = (part: object | undefined): readonly string[] => Object.keys(part ?? {});

const isOfRequestsKey = (key: string): boolean => {
  const read = readConditionKey(key);
  return read !== undefined && isOfRequests(read);
};

/** Whether the rule asks for something that TCP connections do not have. */
export const asksForRequests = ({ from = [], to = [], when = [] }: AuthorizationRule): boolean =>
  [...from.map(({ source }) => source), ...to.map(({ operation }) => operation)].some((part) =>
    fieldsOf(part).some((field) => requestFields.has(field)),
  ) || when.some(({ key }) => isOfRequestsKey(key));

/** Whether nothing is left of the rule, or of one of its alternatives, where there is no request. */
export const isLimitedToRequests = (rule: AuthorizationRule): boolean => {
  if (!asksForRequests(rule)) return false;
  const isEmptied = (parts: readonly (object | undefined)[]): boolean =>
    parts.length === 0 || parts.some((part) => fieldsOf(part).every((field) => requestFields.has(field)));
  return (
    isEmptied((rule.from ?? []).map(({ source }) => source)) &&
    isEmptied((rule.to ?? []).map(({ operation }) => operation)) &&
    (rule.when ?? []).every(({ key }) => isOfRequestsKey(key))
  );
};
