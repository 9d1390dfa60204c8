import { matchesText } from "./text.js";
import type { Identity, Workload } from "./types.js";

type Trust = Pick<Workload, "trustDomain" | "trustDomainAliases">;

const knownDomains = ({ trustDomain, trustDomainAliases }: Trust): readonly string[] => [
  trustDomain,
  ...trustDomainAliases,
];

/** As policies write it: a SPIFFE id without `spiffe://`. */
export const principalOf = ({ trustDomain, namespace, serviceAccount }: Identity): string =>
  `${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;

/** One that begins with a domain of the mesh, or `cluster.local`, and a slash means each of the mesh's domains. */
export const principalsMeant = (principal: string, trust: Trust): readonly string[] => {
  const [domain = "", ...rest] = principal.split("/");
  const known = knownDomains(trust);
  if (rest.length === 0 || !["cluster.local", ...known].includes(domain)) return [principal];
  return known.map((each) => [each, ...rest].join("/"));
};

export const matchesPrincipal = (pattern: string, peer: Identity | undefined, trust: Trust): boolean =>
  peer !== undefined && principalsMeant(pattern, trust).some((meant) => matchesText(meant, principalOf(peer)));

/** A star stands for any characters, wherever it is. */
export const matchesNamespace = (pattern: string, peer: Identity | undefined): boolean => {
  if (peer === undefined) return false;
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("[^/]*")}$`).test(peer.namespace);
};

/** No wildcards; without a namespace, of that of the policy. The trust domain does not count. */
export const matchesServiceAccount = (value: string, peer: Identity | undefined, policyNamespace: string): boolean => {
  if (peer === undefined) return false;
  const full = value.includes("/") ? value : `${policyNamespace}/${value}`;
  return full === `${peer.namespace}/${peer.serviceAccount}`;
};

/** A domain of the mesh written out means all of the mesh's domains. */
export const matchesTrustDomain = (pattern: string, peer: Identity | undefined, trust: Trust): boolean => {
  const known = knownDomains(trust);
  const meant = known.includes(pattern) ? known : [pattern];
  return peer !== undefined && meant.some((each) => matchesText(each, peer.trustDomain));
};
