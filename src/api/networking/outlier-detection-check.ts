import { error, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import type { ConnectionPoolSettings } from "./connection-pool.js";
import { durationFindings } from "./duration-field.js";
import type { OutlierDetection } from "./outlier-detection.js";

const unsetByZero = {
  tcp: ["maxConnections"],
  http: [
    "http1MaxPendingRequests",
    "http2MaxRequests",
    "maxRequestsPerConnection",
    "maxRetries",
    "maxConcurrentStreams",
  ],
} as const;

/** Zero is what an unset field is in Istio's own API, so it cannot mean "none at all". */
const zeroes = (
  path: string,
  object: Readonly<Record<string, unknown>>,
  fields: readonly string[],
): readonly Finding[] =>
  fields
    .filter((field) => object[field] === 0)
    .map((field) =>
      warning(`${path}.${field}`, "0 counts as unset, which is no limit: give at least 1, or leave it out"),
    );

/** What is legal in a connection pool and surely not meant. */
export const checkPoolLimits = (path: string, pool: ConnectionPoolSettings | undefined): readonly Finding[] => [
  ...zeroes(`${path}.tcp`, pool?.tcp ?? {}, unsetByZero.tcp),
  ...zeroes(`${path}.http`, pool?.http ?? {}, unsetByZero.http),
];

export const checkOutlierDetection = (path: string, outlier: OutlierDetection | undefined): readonly Finding[] => {
  if (outlier === undefined) return [];
  const findings: Finding[] = [...durationFindings(path, outlier, ["interval", "baseEjectionTime"])];
  if (outlier.consecutiveErrors !== undefined)
    findings.push(
      warning(
        `${path}.consecutiveErrors`,
        `${outlier.consecutiveErrors} is deprecated and has no effect: use consecutive5xxErrors or consecutiveGatewayErrors`,
      ),
    );
  if ((outlier.consecutiveLocalOriginFailures ?? 0) > 0 && outlier.splitExternalLocalOriginErrors !== true)
    findings.push(
      error(
        `${path}.consecutiveLocalOriginFailures`,
        `${outlier.consecutiveLocalOriginFailures} has no effect unless splitExternalLocalOriginErrors is true: set that, or remove this`,
      ),
    );
  const { consecutive5xxErrors: errors, consecutiveGatewayErrors: gatewayErrors } = outlier;
  if (gatewayErrors !== undefined && gatewayErrors > 0 && errors !== 0 && gatewayErrors > (errors ?? 5))
    findings.push(
      warning(
        `${path}.consecutiveGatewayErrors`,
        `${gatewayErrors} is never reached, consecutive5xxErrors (${errors ?? "5 by default"}) comes first: set that to 0 or higher than this`,
      ),
    );
  if (outlier.maxEjectionPercent === 0)
    findings.push(
      warning(`${path}.maxEjectionPercent`, "0 counts as unset, which is 10: give at least 1, or leave it out"),
    );
  return findings;
};
