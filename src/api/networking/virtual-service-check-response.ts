import { error, errorIf, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { hasControls } from "./headers.js";
import type { RegexCheck } from "./regex.js";
import type { HttpRoute } from "./virtual-service-http.js";
import { largestDirectResponse } from "./virtual-service-match.js";
import type { HttpDirectResponse } from "./virtual-service-policy.js";

const largeDirectResponse = 100 * 1024;

const redirectCodes: ReadonlySet<number> = new Set([0, 301, 302, 303, 307, 308]);

const controlFault = (value: string | undefined): string | undefined =>
  value !== undefined && hasControls(value)
    ? `${show(value)} holds a control character or line break; remove it`
    : undefined;

export const checkRedirect = ({ redirect, match }: HttpRoute, path: string): readonly Finding[] => {
  if (redirect === undefined) return [];
  const at = `${path}.redirect`;
  const { uri, prefixRewrite, authority, scheme, port, derivePort, redirectCode = 0 } = redirect;
  const isEmpty = !uri && !prefixRewrite && !authority && !scheme && port === undefined && derivePort === undefined;
  const isPrefix = (match ?? []).every((each) => each.uri === undefined || each.uri.prefix !== undefined);
  return [
    ...(isEmpty
      ? [error(at, "changes nothing, so the caller would come back; set uri, authority, scheme or port")]
      : []),
    ...(uri && prefixRewrite ? [error(at, "has uri and prefixRewrite; keep one of them")] : []),
    ...(port !== undefined && derivePort !== undefined ? [error(at, "has port and derivePort; keep one of them")] : []),
    ...(port === 0 ? [error(`${at}.port`, "0 is no port; use 1 to 65535")] : []),
    ...(prefixRewrite && !isPrefix
      ? [error(`${at}.prefixRewrite`, "needs matches whose uri is a prefix; change them, or use uri")]
      : []),
    ...(scheme && scheme !== "http" && scheme !== "https"
      ? [error(`${at}.scheme`, `${show(scheme)} is no scheme here; use "http" or "https"`)]
      : []),
    ...(redirectCodes.has(redirectCode)
      ? []
      : [error(`${at}.redirectCode`, `${redirectCode} is no redirect; use 301, 302, 303, 307 or 308`)]),
    ...(uri && !uri.startsWith("/") ? [warning(`${at}.uri`, `${show(uri)} is no path: it begins with no "/"`)] : []),
    ...(["uri", "prefixRewrite", "authority"] as const).flatMap((field) =>
      errorIf(`${at}.${field}`, controlFault(redirect[field])),
    ),
  ];
};

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

export const checkDirectResponse = (response: HttpDirectResponse | undefined, path: string): readonly Finding[] => {
  if (response === undefined) return [];
  const { status, body } = response;
  const size = Buffer.byteLength(body?.string ?? "") + Buffer.byteLength(body?.bytes ?? "", "base64");
  return [
    ...(status < 200 || status > 599 ? [error(`${path}.status`, `${status} is no final status; use 200 to 599`)] : []),
    ...(body?.string !== undefined && body.bytes !== undefined
      ? [error(`${path}.body`, "has string and bytes; keep one of them")]
      : []),
    ...(body?.bytes !== undefined && !base64.test(body.bytes)
      ? [error(`${path}.body.bytes`, `${show(body.bytes)} is no Base64`)]
      : []),
    ...(size > largestDirectResponse
      ? [error(`${path}.body`, `is ${size} bytes; ${largestDirectResponse} is the most: serve it from an application`)]
      : []),
    ...(size > largeDirectResponse && size <= largestDirectResponse
      ? [warning(`${path}.body`, `is ${size} bytes, which every proxy has to hold; serve it from an application`)]
      : []),
  ];
};

const prefixesOf = ({ match }: HttpRoute): readonly string[] =>
  (match ?? []).flatMap(({ uri }) => (uri?.prefix === undefined ? [] : [uri.prefix]));

export const checkRewrite = (route: HttpRoute, path: string, regex: RegexCheck): readonly Finding[] => {
  const { rewrite } = route;
  if (rewrite === undefined) return [];
  const at = `${path}.rewrite`;
  const { uri, authority, uriRegexRewrite } = rewrite;
  const doubled = uri?.endsWith("/") === true && prefixesOf(route).find((prefix) => !prefix.endsWith("/"));
  const fault = uriRegexRewrite?.match === undefined ? undefined : regex.fault(uriRegexRewrite.match);
  return [
    ...(!uri && !authority && uriRegexRewrite === undefined
      ? [error(at, "changes nothing; set uri, uriRegexRewrite or authority")]
      : []),
    ...(uri && uriRegexRewrite !== undefined ? [error(at, "has uri and uriRegexRewrite; keep one of them")] : []),
    ...(["uri", "authority"] as const).flatMap((field) => errorIf(`${at}.${field}`, controlFault(rewrite[field]))),
    ...(typeof doubled === "string"
      ? [
          warning(
            `${at}.uri`,
            `${show(uri)} in place of ${show(doubled)} leaves a double slash; end both with "/" or neither`,
          ),
        ]
      : []),
    ...(uriRegexRewrite !== undefined && (!uriRegexRewrite.match || !uriRegexRewrite.rewrite)
      ? [error(`${at}.uriRegexRewrite`, "needs match and rewrite")]
      : []),
    ...errorIf(
      `${at}.uriRegexRewrite.match`,
      fault === undefined || !uriRegexRewrite?.match ? undefined : `${show(uriRegexRewrite.match)} ${fault}`,
    ),
    ...(uriRegexRewrite?.match && uriRegexRewrite.rewrite
      ? errorIf(
          `${at}.uriRegexRewrite.rewrite`,
          controlFault(uriRegexRewrite.rewrite) ??
            quoted(uriRegexRewrite.rewrite, regex.substitutionFault(uriRegexRewrite.match, uriRegexRewrite.rewrite)),
        )
      : []),
  ];
};

const quoted = (value: string, fault: string | undefined): string | undefined =>
  fault === undefined ? undefined : `${show(value)} ${fault}`;
