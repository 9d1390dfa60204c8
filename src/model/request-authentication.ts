import type { KeySet } from "../api/security/key-set.js";
import {
  keySourceOf,
  type RemoteKeySource,
  type RequestAuthentication,
} from "../api/security/request-authentication-schema.js";
import type { Edit } from "./edit.js";
import type { Editing, Effects } from "./editing.js";
import { touchPolicies } from "./workload-policies.js";

/** What a policy needs fetched, by rule. */
export const remoteSourcesOf = ({ spec }: RequestAuthentication): readonly (RemoteKeySource | undefined)[] =>
  (spec.jwtRules ?? []).map((rule) => {
    const source = keySourceOf(rule);
    return source.from === "inline" ? undefined : source;
  });

/** The workloads of policies that take these keys are served others. */
export const applyKeySet = (
  edit: Pick<Editing, "mesh" | "podsOfNamespace" | "requestAuthentications"> & {
    readonly keySets: Edit<string, KeySet>;
  },
  effects: Pick<Effects, "restricted">,
  id: string,
  next: KeySet | undefined,
): void => {
  const before = edit.keySets.get(id);
  edit.keySets.set(id, next);
  if (before?.jwks === next?.jwks) return;
  for (const [namespace, policies] of edit.requestAuthentications.result())
    if (policies.some((policy) => remoteSourcesOf(policy).some((source) => source?.id === id)))
      touchPolicies(edit, effects, namespace);
};
