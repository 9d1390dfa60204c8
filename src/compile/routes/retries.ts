import { create } from "@bufbuild/protobuf";
import type { Retries } from "../../model/virtual-service-rules.js";
import type { RetryPolicySchema } from "../../proto/envoy/config/route/v3/route_components_pb.js";
import { PreviousHostsPredicateSchema } from "../../proto/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { PreviousPrioritiesConfigSchema } from "../../proto/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import { durationOf } from "../duration.js";
import { packed } from "../encode.js";
import { unreachedHeader } from "../http.js";
import type { Init } from "../init.js";

const defaultConditions: readonly string[] = ["connect-failure", "refused-stream", "unavailable", "cancelled"];

const defaultRetries: Retries = {
  attempts: 2,
  conditions: [],
  statuses: [],
  perTryTimeoutMilliseconds: undefined,
  backoffMilliseconds: undefined,
  remoteLocalities: false,
  ignorePreviousHosts: undefined,
};

const otherHost = packed(PreviousHostsPredicateSchema, create(PreviousHostsPredicateSchema));
const otherPriority = packed(
  PreviousPrioritiesConfigSchema,
  create(PreviousPrioritiesConfigSchema, { updateFrequency: 2 }),
);

/**
 * Istio's retries, and one case more: where failed connections are tried again, so is what the callee's proxy says that
 * its application did not see. Where a hash chooses the host, another one is not looked for unless asked.
 */
export const retryPolicy = (
  retries: Retries | undefined,
  isHashed: boolean,
): Init<typeof RetryPolicySchema> | undefined => {
  const { conditions, statuses, ...policy } = retries ?? defaultRetries;
  if (policy.attempts <= 0) return undefined;
  const chosen = conditions.length + statuses.length === 0 ? defaultConditions : conditions;
  const alsoUnreached = chosen.includes("connect-failure");
  const retryOn = new Set([
    ...chosen,
    ...(statuses.length > 0 ? ["retriable-status-codes"] : []),
    ...(alsoUnreached ? ["retriable-headers"] : []),
  ]);
  return {
    retryOn: [...retryOn].join(","),
    retriableStatusCodes: [...statuses],
    numRetries: policy.attempts,
    hostSelectionRetryMaxAttempts: 5n,
    ...(policy.perTryTimeoutMilliseconds === undefined
      ? {}
      : { perTryTimeout: durationOf(policy.perTryTimeoutMilliseconds) }),
    ...(policy.backoffMilliseconds === undefined
      ? {}
      : { retryBackOff: { baseInterval: durationOf(policy.backoffMilliseconds) } }),
    ...((policy.ignorePreviousHosts ?? !isHashed)
      ? {
          retryHostPredicate: [
            {
              name: "envoy.retry_host_predicates.previous_hosts",
              configType: { case: "typedConfig" as const, value: otherHost },
            },
          ],
        }
      : {}),
    ...(policy.remoteLocalities
      ? {
          retryPriority: {
            name: "envoy.retry_priorities.previous_priorities",
            configType: { case: "typedConfig" as const, value: otherPriority },
          },
        }
      : {}),
    ...(alsoUnreached
      ? {
          retriableHeaders: [
            {
              name: unreachedHeader,
              headerMatchSpecifier: {
                case: "stringMatch" as const,
                value: { matchPattern: { case: "exact" as const, value: "true" } },
              },
            },
          ],
        }
      : {}),
  };
};
