import { create, toBinary } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { AuthorizationPolicy } from "../../api/security/authorization-policy-spec.js";
import { remoteSourcesOf } from "../../model/request-authentication.js";
import type { Labels } from "../../model/selector.js";
import type { Snapshot } from "../../model/snapshot.js";
import { policiesFor } from "../../model/workload-policies.js";
import { FilterChainSchema } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { JwtAuthenticationSchema } from "../../proto/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { numberOf } from "../client.js";
import { fragmentOf } from "../encode.js";
import type { EncodedResource } from "../resources.js";
import { authentication } from "./authentication.js";
import { type CompiledAuthorization, compileAuthorization } from "./authorization.js";
import { connectionPolicies, type NetworkPolicies, requestResources } from "./enforcement.js";
import { rememberByParts } from "./remember.js";
import { policyResource } from "./slots.js";

interface AuthorizationParts {
  /** Configuration of the filters that each request passes. */
  readonly authorization: readonly EncodedResource[];
  /** What each TCP connection passes. */
  readonly network: NetworkPolicies;
  /** Equal texts mean equal `network`. */
  readonly networkKey: string;
}

/** What security policies say to one workload's proxy. */
export interface WorkloadPolicies extends AuthorizationParts {
  /** Configuration of the filter that verifies tokens. */
  readonly authentication: EncodedResource;
}

/** Of workloads whose policies are made by one compiler. */
export const arePoliciesSame = (left: WorkloadPolicies | undefined, right: WorkloadPolicies): boolean =>
  left?.authentication === right.authentication && left.authorization === right.authorization;

/** Makes each policy once, and each set of them once, for all workloads that they select. */
export interface PolicyCompiler {
  readonly of: (snapshot: Snapshot, namespace: string, labels: Labels) => WorkloadPolicies;
}

const rememberedSets = 5000;

const openAuthentication = policyResource("authentication", create(JwtAuthenticationSchema));

/** `closed` is told once of each policy that cannot be compiled and denies instead. */
export const createPolicyCompiler = (closed: (policy: string, error: Error) => void): PolicyCompiler => {
  const compiled = new WeakMap<AuthorizationPolicy, CompiledAuthorization>();
  const sets = new Map<string, AuthorizationParts>();
  const rememberAuthentication = rememberByParts<EncodedResource>();

  const compile = (policy: AuthorizationPolicy, mesh: MeshConfig): CompiledAuthorization => {
    const known = compiled.get(policy);
    if (known !== undefined) return known;
    const made = compileAuthorization(policy, mesh);
    compiled.set(policy, made);
    const { namespace, name } = policy.metadata ?? {};
    if (made.failure !== undefined) closed(`AuthorizationPolicy ${namespace}/${name}`, made.failure);
    return made;
  };

  const make = (authorizations: readonly CompiledAuthorization[], mesh: MeshConfig): AuthorizationParts => {
    const network = connectionPolicies(authorizations, mesh);
    const chain = create(FilterChainSchema, { filters: [...network.filters] });
    return {
      authorization: requestResources(authorizations, mesh),
      network,
      networkKey: fragmentOf(toBinary(FilterChainSchema, chain)).digest,
    };
  };

  const authorizationOf = ({ authorizationPolicies, mesh }: Snapshot, namespace: string, labels: Labels) => {
    const policies = policiesFor(authorizationPolicies, mesh.rootNamespace, namespace, labels);
    const key = policies.map(numberOf).join();
    const set =
      sets.get(key) ??
      make(
        policies.map((policy) => compile(policy, mesh)),
        mesh,
      );
    sets.delete(key);
    sets.set(key, set);
    if (sets.size > rememberedSets) sets.delete(sets.keys().next().value!);
    return set;
  };

  const authenticationOf = (snapshot: Snapshot, namespace: string, labels: Labels): EncodedResource => {
    const { requestAuthentications, keySets, mesh } = snapshot;
    const policies = policiesFor(requestAuthentications, mesh.rootNamespace, namespace, labels);
    if (policies.length === 0) return openAuthentication;
    const keys = policies.flatMap(remoteSourcesOf).map((source) => source && keySets.get(source.id)?.jwks);
    return rememberAuthentication(policies, keys, () =>
      policyResource("authentication", authentication(policies, keySets)),
    );
  };

  return {
    of: (snapshot, namespace, labels) => ({
      ...authorizationOf(snapshot, namespace, labels),
      authentication: authenticationOf(snapshot, namespace, labels),
    }),
  };
};
