import { error, errorIf, repeated, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { portFault, subnetFault } from "../names.js";
import { suggest } from "../suggest.js";
import type {
  AuthorizationCondition,
  AuthorizationOperation,
  AuthorizationSource,
} from "./authorization-policy-spec.js";
import { type ConditionKey, conditionForms, readConditionKey } from "./condition-key.js";
import { isPathTemplate, pathFault } from "./path-template.js";

/** What is to be said of one value of a list. */
type CheckValue = (value: string, path: string) => readonly Finding[];

const faults =
  (fault: (value: string) => string | undefined): CheckValue =>
  (value, path) =>
    errorIf(path, fault(value));

/** Only a `*` that comes first or last stands for anything. */
const text: CheckValue = (value, path) => {
  if (value === "") return [error(path, 'is empty and matches nothing; write a value, or "*" for any')];
  const inner = value.startsWith("*") ? value.slice(1) : value.replace(/\*$/, "");
  return inner.includes("*")
    ? [warning(path, `${show(value)}: of several "*", and of one within, all but the first or last are no wildcards`)]
    : [];
};

const address = faults(subnetFault);

const port = faults((value) =>
  /^[1-9]\d{0,5}$/.test(value)
    ? portFault(Number(value))
    : `${show(value)} is no port number; write one from 1 to 65535`,
);

const principal: CheckValue = (value, path) => [
  ...text(value, path),
  ...(value.startsWith("spiffe://")
    ? [error(path, `${show(value)} never matches; leave out "spiffe://", as in "cluster.local/ns/shop/sa/web"`)]
    : /^[^*]*$/.test(value) && value !== "" && !/^[^/]+\/ns\/[^/]+\/sa\/[^/]+$/.test(value)
      ? [warning(path, `${show(value)} is no identity of the mesh; write TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`)]
      : []),
];

const requestPrincipal: CheckValue = (value, path) => [
  ...text(value, path),
  ...(value.includes("/") || value.includes("*")
    ? []
    : [warning(path, `${show(value)} is no ISSUER/SUBJECT; write both, or ISSUER/* for any subject`)]),
];

const serviceAccount = faults((value) => {
  if (value.includes("*")) return `${show(value)}: there are no wildcards here; name accounts, or use principals`;
  if (value.length > 320) return `${show(value)} is longer than 320 characters; shorten it`;
  return /^([^/]+\/)?[^/]+$/.test(value)
    ? undefined
    : `${show(value)} is no service account; write NAMESPACE/ACCOUNT, or ACCOUNT of the policy's namespace`;
});

const host: CheckValue = (value, path) => [
  ...text(value, path),
  ...(value === "" || value.includes("*") || /:\d+$/.test(value)
    ? []
    : [
        warning(
          path,
          `${show(value)} misses requests that name a port, such as ${show(`${value}:8080`)}; add "${value}:*"`,
        ),
      ]),
];

const method: CheckValue = (value, path) => [
  ...text(value, path),
  ...(value === value.toUpperCase()
    ? []
    : [warning(path, `${show(value)} matches no usual request; methods are in upper case: ${value.toUpperCase()}`)]),
];

const pathValue: CheckValue = (value, path) => {
  const fault = pathFault(value);
  if (fault !== undefined) return [error(path, fault)];
  if (isPathTemplate(value)) return [];
  return [
    ...text(value, path),
    ...(/[?#]/.test(value)
      ? [warning(path, `${show(value)} never matches: paths are compared without "?" and "#"; remove these`)]
      : value === "" || value.startsWith("/") || value.startsWith("*")
        ? []
        : [warning(path, `${show(value)} never matches, since paths begin with "/"; add it`)]),
  ];
};

const sourceChecks: { readonly [Field in keyof AuthorizationSource]-?: CheckValue } = {
  principals: principal,
  notPrincipals: principal,
  requestPrincipals: requestPrincipal,
  notRequestPrincipals: requestPrincipal,
  namespaces: text,
  notNamespaces: text,
  serviceAccounts: serviceAccount,
  notServiceAccounts: serviceAccount,
  trustDomains: text,
  notTrustDomains: text,
  ipBlocks: address,
  notIpBlocks: address,
  remoteIpBlocks: address,
  notRemoteIpBlocks: address,
};

const operationChecks: { readonly [Field in keyof AuthorizationOperation]-?: CheckValue } = {
  hosts: host,
  notHosts: host,
  ports: port,
  notPorts: port,
  methods: method,
  notMethods: method,
  paths: pathValue,
  notPaths: pathValue,
};

const conditionCheck = (key: ConditionKey): CheckValue => {
  switch (key.attribute) {
    case "source.ip":
    case "remote.ip":
    case "destination.ip":
      return address;
    case "destination.port":
      return port;
    case "source.principal":
      return principal;
    case "source.serviceAccount":
      return serviceAccount;
    case "request.auth.principal":
      return requestPrincipal;
    default:
      return text;
  }
};

const checkList = (values: readonly string[] | undefined, path: string, check: CheckValue): readonly Finding[] => [
  ...(values ?? []).flatMap((value, index) => check(value, `${path}[${index}]`)),
  ...repeated(values ?? []).map((index) =>
    warning(`${path}[${index}]`, `${show(values?.[index])} is there twice; remove one`),
  ),
];

const checkFields = <Part extends object>(
  part: Part | undefined,
  checks: { readonly [Field in keyof Part]-?: CheckValue },
  path: string,
): readonly Finding[] => {
  if (part === undefined || Object.keys(part).length === 0)
    return [error(path, "is empty; remove it, or name at least one field")];
  return (Object.keys(checks) as (keyof Part & string)[]).flatMap((field) =>
    checkList(part[field] as readonly string[] | undefined, `${path}.${field}`, checks[field]),
  );
};

const named = (part: object | undefined, fields: readonly string[]): readonly string[] =>
  fields.filter((field) => Object.hasOwn(part ?? {}, field));

export const checkSource = (part: AuthorizationSource | undefined, path: string): readonly Finding[] => {
  const accounts = named(part, ["serviceAccounts", "notServiceAccounts"]);
  const others = named(part, ["principals", "notPrincipals", "namespaces", "notNamespaces"]);
  return [
    ...checkFields(part, sourceChecks, path),
    ...(accounts.length > 0 && others.length > 0
      ? [error(`${path}.${accounts[0]}`, `goes without ${others.join(" and ")}; leave one of them out`)]
      : []),
  ];
};

export const checkOperation = (part: AuthorizationOperation | undefined, path: string): readonly Finding[] =>
  checkFields(part, operationChecks, path);

export const checkCondition = (
  { key, values, notValues }: AuthorizationCondition,
  path: string,
): readonly Finding[] => {
  const read = readConditionKey(key);
  if (read === undefined)
    return [error(`${path}.key`, `${show(key)} is no attribute; ${suggest(key, conditionForms)}`)];
  if (values === undefined && notValues === undefined)
    return [error(path, "has neither values nor notValues; give one of them")];
  const check = conditionCheck(read);
  return [...checkList(values, `${path}.values`, check), ...checkList(notValues, `${path}.notValues`, check)];
};
