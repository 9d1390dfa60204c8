import type { MeshConfig } from "../api/meshconfig.js";
import type { TrafficPolicy } from "../api/networking/destination-rule.js";
import type { MergedDestinationRule } from "./destination-rule-merge.js";
import type { Endpoint } from "./service.js";

const blocks = ["loadBalancer", "connectionPool", "outlierDetection", "tls"] as const;
const whole = ["tunnel", "proxyProtocol", "retryBudget"] as const;

type Blocks = Pick<TrafficPolicy, (typeof blocks)[number] | (typeof whole)[number]>;

/** Of a policy, what counts for one port: the port's own settings replace the four blocks, given or not. */
const ofPort = (policy: TrafficPolicy, port: number): { readonly policy: Blocks; readonly replaces: boolean } => {
  const { portLevelSettings, ...rest } = policy;
  const own = portLevelSettings?.find((setting) => setting.port?.number === port);
  if (own === undefined) return { policy: rest, replaces: false };
  const kept = Object.fromEntries(whole.flatMap((field) => (rest[field] === undefined ? [] : [[field, rest[field]]])));
  const { port: _, ...settings } = own;
  return { policy: { ...kept, ...settings }, replaces: true };
};

const overlay = (base: Blocks, over: Blocks, replaces: boolean): Blocks => {
  const kept = replaces
    ? Object.fromEntries(Object.entries(base).filter(([field]) => !(blocks as readonly string[]).includes(field)))
    : base;
  return { ...kept, ...over };
};

const remembered = new WeakMap<MeshConfig, WeakMap<object, Map<string, TrafficPolicy>>>();
const noRule: object = {};

const compute = (
  rule: MergedDestinationRule | undefined,
  port: number,
  subset: string,
  mesh: MeshConfig,
): TrafficPolicy => {
  const base = ofPort(rule?.trafficPolicy ?? {}, port).policy;
  const own = rule?.subsets.find(({ name }) => name === subset)?.trafficPolicy;
  const over = own === undefined ? undefined : ofPort(own, port);
  const merged = over === undefined ? base : overlay(base, over.policy, over.replaces);
  return { ...mesh.defaultTrafficPolicy, ...merged };
};

/**
 * What governs one cluster: the mesh's default, the rule, its settings of the port, the subset, the subset's of the port;
 * each overrides block by block, a port's replaces all four blocks. Equal inputs give the identical object. An unknown
 * subset has the policy of the whole.
 */
export const policyFor = (
  rule: MergedDestinationRule | undefined,
  port: number,
  subset: string,
  mesh: MeshConfig,
): TrafficPolicy => {
  const ofMesh = remembered.get(mesh) ?? new WeakMap<object, Map<string, TrafficPolicy>>();
  remembered.set(mesh, ofMesh);
  const policies = ofMesh.get(rule ?? noRule) ?? new Map<string, TrafficPolicy>();
  ofMesh.set(rule ?? noRule, policies);
  // Without a rule, ports and subsets are all alike.
  const key = rule === undefined ? "" : `${port} ${subset}`;
  const known = policies.get(key);
  if (known !== undefined) return known;
  const policy = compute(rule, port, subset, mesh);
  policies.set(key, policy);
  return policy;
};

/** The endpoints that carry all the labels; without labels, the very same list. */
export const endpointsOfSubset = (
  endpoints: readonly Endpoint[],
  labels: Readonly<Record<string, string>> | undefined,
): readonly Endpoint[] => {
  const wanted = Object.entries(labels ?? {});
  if (wanted.length === 0) return endpoints;
  return endpoints.filter((endpoint) => wanted.every(([label, value]) => endpoint.labels[label] === value));
};
