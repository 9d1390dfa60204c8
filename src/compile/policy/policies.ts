import { create, toBinary } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import type { AuthorizationPolicy } from "../../api/security/authorization-policy-spec.js";
import { rememberLatest } from "../../model/latest.js";
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
  const told = new WeakSet<AuthorizationPolicy>();
  const authorizations = rememberLatest<AuthorizationParts>(rememberedSets);
  const authentications = rememberLatest<EncodedResource>(rememberedSets);

  const compile = (policy: AuthorizationPolicy, mesh: MeshConfig): CompiledAuthorization => {
    const made = compileAuthorization(policy, mesh);
    if (made.failure !== undefined && !told.has(policy)) {
      const { namespace, name } = policy.metadata ?? {};
      told.add(policy);
      closed(`AuthorizationPolicy ${namespace}/${name}`, made.failure);
    }
    return made;
  };

  const make = (compiledPolicies: readonly CompiledAuthorization[], mesh: MeshConfig): AuthorizationParts => {
    const network = connectionPolicies(compiledPolicies, mesh);
    const chain = create(FilterChainSchema, { filters: [...network.filters] });
    return {
      authorization: requestResources(compiledPolicies, mesh),
      network,
      networkKey: fragmentOf(toBinary(FilterChainSchema, chain)).digest,
    };
  };

  const authorizationOf = ({ authorizationPolicies, mesh }: Snapshot, namespace: string, labels: Labels) => {
    const policies = policiesFor(authorizationPolicies, mesh.rootNamespace, namespace, labels);
    return authorizations(policies.map(numberOf).join(), () =>
      make(
        policies.map((policy) => compile(policy, mesh)),
        mesh,
      ),
    );
  };

  const authenticationOf = (snapshot: Snapshot, namespace: string, labels: Labels): EncodedResource => {
    const { requestAuthentications, keySets, mesh } = snapshot;
    const policies = policiesFor(requestAuthentications, mesh.rootNamespace, namespace, labels);
    if (policies.length === 0) return openAuthentication;
    const fetched = policies.flatMap(remoteSourcesOf).map((source) => source && keySets.get(source.id));
    const key = [policies.map(numberOf), fetched.map((keys) => keys && numberOf(keys))].join(";");
    return authentications(key, () => policyResource("authentication", authentication(policies, keySets)));
  };

  return {
    of: (snapshot, namespace, labels) => ({
      ...authorizationOf(snapshot, namespace, labels),
      authentication: authenticationOf(snapshot, namespace, labels),
    }),
  };
};
