import { error, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { checkClientTls } from "./client-tls-check.js";
import { checkConnectionPool } from "./connection-pool.js";
import { durationFindings } from "./duration-field.js";
import { checkLoadBalancer } from "./load-balancer-check.js";
import { checkOutlierDetection, checkPoolLimits } from "./outlier-detection-check.js";
import type { PortTrafficPolicy, TrafficPolicy, TunnelSettings } from "./traffic-policy.js";

const hostName =
  /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;
const ipAddress = /^(\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)$/;

const checkBlocks = (path: string, policy: TrafficPolicy | PortTrafficPolicy): readonly Finding[] => [
  ...checkLoadBalancer(`${path}.loadBalancer`, policy.loadBalancer, policy.outlierDetection !== undefined),
  ...checkConnectionPool(`${path}.connectionPool`, policy.connectionPool),
  ...checkPoolLimits(`${path}.connectionPool`, policy.connectionPool),
  ...checkOutlierDetection(`${path}.outlierDetection`, policy.outlierDetection),
  ...checkClientTls(`${path}.tls`, policy.tls),
];

const checkTunnel = (path: string, tunnel: TunnelSettings): readonly Finding[] =>
  hostName.test(tunnel.targetHost) || ipAddress.test(tunnel.targetHost)
    ? []
    : [
        error(
          `${path}.targetHost`,
          `${show(tunnel.targetHost)} is neither a host name nor an IP address: write one, and the port in targetPort`,
        ),
      ];

/** Fields that only a whole policy has: in a port's own settings they would be dropped without a word. */
const misplacedInPort = ["tunnel", "proxyProtocol", "retryBudget", "portLevelSettings"] as const;

const checkPort = (path: string, setting: PortTrafficPolicy): readonly Finding[] => {
  const findings: Finding[] = [...checkBlocks(path, setting)];
  if (setting.port?.number === undefined)
    findings.push(error(`${path}.port.number`, "nothing given: name the port of the service"));
  for (const field of misplacedInPort) {
    const value = (setting as Readonly<Record<string, unknown>>)[field];
    if (value !== undefined)
      findings.push(
        error(`${path}.${field}`, `${show(value)} cannot be set for one port: move it to the trafficPolicy around it`),
      );
  }
  if (!("loadBalancer" in setting || "connectionPool" in setting || "outlierDetection" in setting || "tls" in setting))
    findings.push(
      warning(
        path,
        "sets nothing, and so gives the port the defaults in place of the policy around it: remove it if not meant",
      ),
    );
  return findings;
};

export const checkTrafficPolicy = (path: string, policy: TrafficPolicy | undefined): readonly Finding[] => {
  if (policy === undefined) return [];
  const findings: Finding[] = [...checkBlocks(path, policy)];
  if (Object.keys(policy).length === 0) findings.push(warning(path, "{} says nothing: fill it or leave it out"));
  const seen = new Set<number>();
  policy.portLevelSettings?.forEach((setting, index) => {
    const at = `${path}.portLevelSettings[${index}]`;
    const number = setting.port?.number;
    findings.push(...checkPort(at, setting));
    if (number !== undefined && seen.has(number))
      findings.push(warning(`${at}.port.number`, `${number} has settings already, which win: merge the two`));
    if (number !== undefined) seen.add(number);
  });
  if (policy.tunnel !== undefined) {
    findings.push(...checkTunnel(`${path}.tunnel`, policy.tunnel));
    if (policy.proxyProtocol !== undefined)
      findings.push(
        error(`${path}.proxyProtocol`, `${show(policy.proxyProtocol)} contradicts tunnel: remove one of the two`),
      );
  }
  if (policy.retryBudget !== undefined) {
    findings.push(
      ...durationFindings(`${path}.retryBudget`, policy.retryBudget, ["budgetInterval"], ["budgetInterval"]),
    );
    if ((policy.connectionPool?.http?.maxRetries ?? 0) > 0)
      findings.push(
        warning(
          `${path}.connectionPool.http.maxRetries`,
          `${policy.connectionPool?.http?.maxRetries} has no effect beside retryBudget: remove one of the two`,
        ),
      );
  }
  return findings;
};
