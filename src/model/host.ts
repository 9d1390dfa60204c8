import { isIP } from "node:net";

/** Istio's full name: a name without a dot is a service of the rule's own namespace; all in lower case. */
export const qualifiedHost = (host: string, namespace: string, clusterDomain: string): string => {
  const lower = host.toLowerCase().replace(/(?<=.)\.$/, "");
  if (lower === "*" || lower.includes(".") || isIP(lower) !== 0) return lower;
  return `${lower}.${namespace}.svc.${clusterDomain}`;
};

/** Whether a host, perhaps a wildcard itself, lies within a wildcard host. */
export const isWithin = (host: string, wildcard: string): boolean =>
  wildcard === "*" || (host.length >= wildcard.length && host.endsWith(wildcard.slice(1)));
