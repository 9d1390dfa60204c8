import type { Finding } from "../kind.js";
import type { ConnectionPoolSettings } from "./connection-pool.js";
import { durationFindings, fault, warning } from "./findings.js";
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

export const checkConnectionPool = (path: string, pool: ConnectionPoolSettings | undefined): readonly Finding[] => {
  if (pool === undefined) return [];
  const { tcp, http } = pool;
  const findings: Finding[] = [];
  if (tcp === undefined && http === undefined)
    findings.push(warning(path, "{} limits nothing: give tcp or http settings, or leave it out"));
  if (tcp !== undefined) {
    findings.push(
      ...zeroes(`${path}.tcp`, tcp, unsetByZero.tcp),
      ...durationFindings(
        `${path}.tcp`,
        tcp,
        ["connectTimeout", "maxConnectionDuration", "idleTimeout"],
        ["idleTimeout"],
      ),
      ...(tcp.tcpKeepalive === undefined
        ? []
        : durationFindings(`${path}.tcp.tcpKeepalive`, tcp.tcpKeepalive, ["time", "interval"])),
    );
  }
  if (http !== undefined) {
    findings.push(
      ...zeroes(`${path}.http`, http, unsetByZero.http),
      ...durationFindings(`${path}.http`, http, ["idleTimeout"]),
    );
    if (http.useClientProtocol === true && http.h2UpgradePolicy === "UPGRADE")
      findings.push(
        fault(`${path}.http.h2UpgradePolicy`, '"UPGRADE" contradicts useClientProtocol: remove one of the two'),
      );
    if (http.http2KeepAlive !== undefined) {
      for (const field of ["interval", "timeout"] as const)
        if (http.http2KeepAlive[field] === undefined)
          findings.push(
            fault(`${path}.http.http2KeepAlive.${field}`, "nothing given: interval and timeout are both required"),
          );
      findings.push(...durationFindings(`${path}.http.http2KeepAlive`, http.http2KeepAlive, ["interval", "timeout"]));
    }
  }
  return findings;
};

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
      fault(
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
