import type { StringMatch } from "./virtual-service-common.js";

/** What of a match is looked at when a request comes. */
export interface RuntimeMatch {
  readonly uri?: StringMatch | undefined;
  readonly scheme?: StringMatch | undefined;
  readonly method?: StringMatch | undefined;
  readonly authority?: StringMatch | undefined;
  readonly headers?: Readonly<Record<string, StringMatch>> | undefined;
  readonly withoutHeaders?: Readonly<Record<string, StringMatch>> | undefined;
  readonly queryParams?: Readonly<Record<string, StringMatch>> | undefined;
}

/** Whether every request fits: no condition that is looked at when the request comes. */
export const isCatchAll = ({ uri, scheme, method, authority, ...named }: RuntimeMatch): boolean =>
  scheme === undefined &&
  method === undefined &&
  authority === undefined &&
  [named.headers, named.withoutHeaders, named.queryParams].every((fields) => Object.keys(fields ?? {}).length === 0) &&
  (uri === undefined || Object.keys(uri).length === 0 || uri.prefix === "/" || uri.prefix === "" || uri.regex === ".*");

/** Claims of a JSON Web Token, where a header's name is expected. */
export const claimPrefix = "@request.auth.claims";

export const usesClaims = ({ headers, withoutHeaders }: RuntimeMatch): boolean =>
  Object.keys({ ...headers, ...withoutHeaders }).some((name) => name.toLowerCase().startsWith(claimPrefix));

export const isAuthority = (name: string): boolean => /^(host|:authority)$/i.test(name);

/** Bytes of a body that the proxies answer with at most. */
export const largestDirectResponse = 1024 * 1024;
