import type { V1ConfigMap } from "@kubernetes/client-node";
import { recordName, reportsOf, statusKey } from "../../main/certificates/record.js";
import type { AuthorityStatus, ReplicaReport } from "../../main/certificates/state.js";
import { find } from "../cluster/apply.js";
import type { ClusterClient } from "../cluster/client.js";
import { namespace } from "../manifests/context.js";

export interface AuthorityView {
  readonly status: AuthorityStatus;
  readonly reports: ReadonlyMap<string, ReplicaReport>;
}

/** The authority as heddled shows it. Rejects with an Error that says what to do if it does not. */
export const readAuthorityView = async (client: ClusterClient): Promise<AuthorityView> => {
  const metadata = { name: recordName, namespace };
  const found = await find<V1ConfigMap>(client, { apiVersion: "v1", kind: "ConfigMap", metadata });
  const text = found?.data?.[statusKey];
  if (text === undefined)
    throw new Error(
      `heddled has written no ConfigMap ${namespace}/${recordName} in context ${client.context}: install it with heddle install, or see kubectl -n ${namespace} logs deployment/heddled`,
    );
  return { status: JSON.parse(text) as AuthorityStatus, reports: reportsOf(found?.data ?? {}) };
};
