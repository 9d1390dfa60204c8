import { create } from "@bufbuild/protobuf";
import { JwtAuthenticationSchema } from "../../proto/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACSchema } from "../../proto/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import type { EncodedResource } from "../resources.js";
import { policyResource } from "./slots.js";

/** The configuration of every policy filter, for workloads that no policy selects. */
export const openPolicies: readonly EncodedResource[] = [
  policyResource("authentication", create(JwtAuthenticationSchema)),
  ...(["audit", "deny", "allow"] as const).map((slot) => policyResource(slot, create(RBACSchema))),
];
