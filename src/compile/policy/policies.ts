import { create } from "@bufbuild/protobuf";
import { remoteSourcesOf } from "../../model/request-authentication.js";
import type { Labels } from "../../model/selector.js";
import type { Snapshot } from "../../model/snapshot.js";
import { policiesFor } from "../../model/workload-policies.js";
import { JwtAuthenticationSchema } from "../../proto/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACSchema } from "../../proto/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { EncodedResource } from "../resources.js";
import { authentication } from "./authentication.js";
import { rememberByParts } from "./remember.js";
import { policyResource } from "./slots.js";

const openAuthentication = policyResource("authentication", create(JwtAuthenticationSchema));
const openAuthorization: readonly EncodedResource[] = (["audit", "deny", "allow"] as const).map((slot) =>
  policyResource(slot, create(RBACSchema)),
);

const rememberAuthentication = rememberByParts<EncodedResource>();

/** The same resource for all workloads with the same policies and keys. */
const authenticationOf = (snapshot: Snapshot, namespace: string, labels: Labels): EncodedResource => {
  const { requestAuthentications, keySets, mesh } = snapshot;
  const policies = policiesFor(requestAuthentications, mesh.rootNamespace, namespace, labels);
  if (policies.length === 0) return openAuthentication;
  const keys = policies.flatMap(remoteSourcesOf).map((source) => source && keySets.get(source.id)?.jwks);
  return rememberAuthentication(policies, keys, () =>
    policyResource("authentication", authentication(policies, keySets)),
  );
};

/** The configuration of every policy filter of a workload. */
export const policiesOf = (snapshot: Snapshot, namespace: string, labels: Labels): readonly EncodedResource[] => [
  authenticationOf(snapshot, namespace, labels),
  ...openAuthorization,
];
