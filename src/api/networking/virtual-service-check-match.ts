import { error, errorIf, member, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { checkLabels, domainFault, labelNameFault } from "../names.js";
import { headerNameFault } from "./headers.js";
import type { RegexCheck } from "./regex.js";
import type { StringMatch } from "./virtual-service-common.js";
import type { HttpMatchRequest } from "./virtual-service-http.js";
import { claimPrefix } from "./virtual-service-match.js";

/** What of the resource a rule is judged by. */
export interface RuleContext {
  readonly isDelegate: boolean;
  readonly isForMesh: boolean;
  readonly hosts: readonly string[];
  readonly gateways: readonly string[];
  readonly namespace: string;
  readonly regex: RegexCheck;
}

export const checkGatewayNames = (gateways: readonly string[], path: string): readonly Finding[] =>
  gateways.flatMap((gateway, index): Finding[] => {
    const [first = "", second, ...more] = gateway.split("/");
    const at = `${path}[${index}]`;
    if (second === undefined && labelNameFault(first) === undefined) return [];
    if (second === undefined && domainFault(first) === undefined) {
      const [name, namespace] = first.split(".");
      return [warning(at, `${show(gateway)} is a form of old; write "${namespace}/${name}"`)];
    }
    return labelNameFault(first) === undefined && domainFault(second ?? "") === undefined && more.length === 0
      ? []
      : [error(at, `${show(gateway)} is no gateway; write "namespace/name", "name" or "mesh"`)];
  });

export interface StaticMatch {
  readonly port?: number;
  readonly sourceLabels?: Readonly<Record<string, string>>;
  readonly gateways?: readonly string[];
  readonly sourceNamespace?: string;
}

const qualified = (gateway: string, namespace: string): string =>
  gateway === "mesh" || gateway.includes("/") ? gateway : `${namespace}/${gateway}`;

/** Conditions that are decided when the configuration is made, the same for HTTP, TLS and TCP. */
export const checkStaticMatch = (match: StaticMatch, path: string, context: RuleContext): readonly Finding[] => {
  const known = new Set(context.gateways.map((gateway) => qualified(gateway, context.namespace)));
  return [
    ...checkGatewayNames(match.gateways ?? [], `${path}.gateways`),
    ...(match.gateways ?? []).flatMap((gateway, index) =>
      context.isDelegate || known.has(qualified(gateway, context.namespace))
        ? []
        : [
            warning(
              `${path}.gateways[${index}]`,
              `${show(gateway)} is none of spec.gateways, so nothing matches here; add it there`,
            ),
          ],
    ),
    ...checkLabels(`${path}.sourceLabels`, match.sourceLabels),
    ...(match.sourceNamespace ? errorIf(`${path}.sourceNamespace`, labelNameFault(match.sourceNamespace)) : []),
  ];
};

export const checkStringMatch = (
  value: StringMatch,
  path: string,
  regex: RegexCheck,
  allowed: { readonly presence?: boolean; readonly emptyPrefix?: boolean } = {},
): readonly Finding[] => {
  const kinds = (["exact", "prefix", "regex"] as const).filter((kind) => value[kind] !== undefined);
  if (kinds.length > 1) return [error(path, `has ${kinds.join(" and ")}; keep one of them`)];
  if (kinds.length === 0)
    return allowed.presence === true ? [] : [error(path, "is empty; set exact, prefix or regex, or leave it out")];
  if (value.prefix === "" && allowed.emptyPrefix !== true)
    return [error(`${path}.prefix`, '"" is the beginning of everything; leave the match out')];
  if (value.regex === undefined || (allowed.presence === true && value.regex === "*")) return [];
  const fault = regex.fault(value.regex);
  return errorIf(`${path}.regex`, fault === undefined ? undefined : `${show(value.regex)} ${fault}`);
};

const pseudoHeaders: ReadonlySet<string> = new Set([":method", ":scheme", ":authority", ":path"]);
const claim = /^@request\.auth\.claims(?:(?:\.[^.[\]]+)+|(?:\[[^[\]]+\])+)$/i;

const checkHeaderMatches = (
  matches: Readonly<Record<string, StringMatch>>,
  path: string,
  { regex, isForMesh, gateways }: RuleContext,
): readonly Finding[] =>
  Object.entries(matches).flatMap(([name, value]): readonly Finding[] => {
    const at = member(path, name);
    if (name.toLowerCase().startsWith(claimPrefix)) {
      if (!claim.test(name))
        return [error(at, `${show(name)} is no claim; write ${claimPrefix}.name or ${claimPrefix}[name][name]`)];
      if (isForMesh)
        return gateways.length === 1
          ? [error(at, "claims are matched by gateways only; remove it, or name a gateway in spec.gateways")]
          : [warning(at, "claims are matched by gateways only; sidecars leave this match out")];
      return checkStringMatch(value, at, regex);
    }
    const fault = pseudoHeaders.has(name) ? undefined : headerNameFault(name);
    if (fault !== undefined) return [error(at, `${show(name)} ${fault}`)];
    return checkStringMatch(value, at, regex, { presence: true });
  });

const checkUri = (match: HttpMatchRequest, path: string, regex: RegexCheck): readonly Finding[] => {
  const { uri, ignoreUriCase } = match;
  if (uri === undefined) return [];
  const text = uri.exact ?? uri.prefix;
  const at = `${path}.uri.${uri.exact === undefined ? "prefix" : "exact"}`;
  return [
    ...checkStringMatch(uri, `${path}.uri`, regex, { emptyPrefix: true }),
    ...(text !== undefined && text !== "" && !text.startsWith("/") && text !== "*"
      ? [warning(at, `${show(text)} matches nothing: a path begins with "/"`)]
      : []),
    ...(text !== undefined && /[?#]/.test(text)
      ? [warning(at, `${show(text)} matches nothing: the query is no part of the path; use queryParams`)]
      : []),
    ...(ignoreUriCase === true && uri.regex !== undefined
      ? [warning(`${path}.ignoreUriCase`, "has no effect on a regex; begin it with (?i)")]
      : []),
  ];
};

export const checkHttpMatch = (match: HttpMatchRequest, path: string, context: RuleContext): readonly Finding[] => {
  const { regex } = context;
  const method = match.method?.exact;
  const parameters = Object.entries(match.queryParams ?? {});
  return [
    ...checkStaticMatch(match, path, context),
    ...checkUri(match, path, regex),
    ...(["scheme", "method", "authority"] as const).flatMap((field) => {
      const value = match[field];
      return value === undefined ? [] : checkStringMatch(value, `${path}.${field}`, regex);
    }),
    ...checkHeaderMatches(match.headers ?? {}, `${path}.headers`, context),
    ...checkHeaderMatches(match.withoutHeaders ?? {}, `${path}.withoutHeaders`, context),
    ...parameters.flatMap(([name, value]) => [
      ...(name === "" || Buffer.byteLength(name) > 1024
        ? [error(member(`${path}.queryParams`, name), "a name has 1 to 1024 bytes")]
        : []),
      ...checkStringMatch(value, member(`${path}.queryParams`, name), regex, { presence: true }),
    ]),
    ...(method !== undefined && method !== method.toUpperCase()
      ? [
          warning(
            `${path}.method.exact`,
            `${show(method)} is compared with letter case; did you mean "${method.toUpperCase()}"?`,
          ),
        ]
      : []),
    ...((match.gateways?.length ?? 0) > 0 && (match.sourceLabels !== undefined || match.sourceNamespace !== undefined)
      ? [
          warning(
            `${path}.gateways`,
            "with gateways set, sourceLabels and sourceNamespace of an HTTP match are not looked at; split the match",
          ),
        ]
      : []),
  ];
};
