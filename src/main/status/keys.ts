import { show } from "../../api/findings.js";
import type { Condition } from "../../api/kind.js";
import type { ConfigurationKind } from "../../api/kinds.js";
import { remoteSourcesOf } from "../../model/request-authentication.js";
import type { Snapshot } from "../../model/snapshot.js";
import { policyAt } from "../../model/workload-policies.js";

export type KeysVerdict = Pick<Condition, "status" | "reason" | "message">;

/** Whether the keys that a policy has fetched are there; undefined if it has none fetched. */
export const keysVerdict = (snapshot: Snapshot, kind: ConfigurationKind, key: string): KeysVerdict | undefined => {
  const policy = kind === "RequestAuthentication" ? policyAt(snapshot.requestAuthentications, key) : undefined;
  if (policy === undefined) return undefined;
  const sources = remoteSourcesOf(policy).flatMap((source, index) => {
    if (source === undefined) return [];
    const keys = snapshot.keySets.get(source.id);
    const field = source.from === "discovery" ? "issuer" : "jwksUri";
    return [{ path: `spec.jwtRules[${index}].${field}`, issuer: source.issuer, keys }];
  });
  if (sources.length === 0) return undefined;
  const missing = sources.find(({ keys }) => keys?.jwks === undefined);
  if (missing !== undefined) {
    const why = missing.keys?.failure ?? "they are being fetched";
    return {
      status: "False",
      reason: "Missing",
      message: `${missing.path}: without keys all tokens of ${show(missing.issuer)} are refused: ${why}`,
    };
  }
  const stale = sources.find(({ keys }) => keys?.failure !== undefined);
  return stale === undefined
    ? { status: "True", reason: "Fetched", message: "The issuers' keys are in force" }
    : {
        status: "True",
        reason: "Stale",
        message: `${stale.path}: the keys fetched last stay in force, and are tried again: ${stale.keys?.failure}`,
      };
};
