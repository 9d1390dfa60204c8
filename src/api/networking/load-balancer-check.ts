import { error, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { durationFindings } from "./duration-field.js";
import type { ConsistentHash, LoadBalancerSettings } from "./load-balancer.js";
import { checkLocality, checkZoneAware } from "./locality-check.js";

export const isPrime = (value: number): boolean => {
  if (value < 2) return false;
  for (let factor = 2; factor * factor <= value; factor++) if (value % factor === 0) return false;
  return true;
};

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const hashKeys = ["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"] as const;

const exclusive = (
  path: string,
  object: Readonly<Record<string, unknown>>,
  fields: readonly string[],
): readonly Finding[] =>
  fields
    .filter((field) => object[field] !== undefined)
    .slice(1)
    .map((field) =>
      error(`${path}.${field}`, `${show(object[field])} is one too many: give one of ${fields.join(", ")}`),
    );

const checkConsistentHash = (path: string, hash: ConsistentHash): readonly Finding[] => {
  const findings: Finding[] = [...exclusive(path, hash, hashKeys), ...exclusive(path, hash, ["ringHash", "maglev"])];
  const { httpHeaderName, httpCookie, maglev } = hash;
  if (hashKeys.every((key) => hash[key] === undefined || hash[key] === false || hash[key] === ""))
    findings.push(warning(path, `nothing to hash, so any host is chosen: give one of ${hashKeys.join(", ")}`));
  if (httpHeaderName !== undefined && httpHeaderName !== "" && !/^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(httpHeaderName))
    findings.push(
      error(`${path}.httpHeaderName`, `${show(httpHeaderName)} is no header name: write letters, digits and -`),
    );
  if (httpCookie !== undefined) {
    const at = `${path}.httpCookie`;
    if (!token.test(httpCookie.name))
      findings.push(error(`${at}.name`, `${show(httpCookie.name)} is no cookie name: write letters, digits, - and _`));
    if (httpCookie.path !== undefined && /[;\r\n\0]/.test(httpCookie.path))
      findings.push(
        error(`${at}.path`, `${show(httpCookie.path)} is no cookie path: write it without ; and line ends`),
      );
    findings.push(...durationFindings(at, httpCookie, ["ttl"], ["ttl"]));
    if (httpCookie.ttl === undefined && (httpCookie.path !== undefined || (httpCookie.attributes?.length ?? 0) > 0))
      findings.push(
        warning(
          `${at}.ttl`,
          "nothing given, so the proxy makes no cookie and path and attributes have no effect: give a ttl",
        ),
      );
    const seen = new Set<string>();
    httpCookie.attributes?.forEach(({ name, value }, index) => {
      const here = `${at}.attributes[${index}]`;
      if (!token.test(name))
        findings.push(error(`${here}.name`, `${show(name)} is no attribute name: write letters and -`));
      if (value !== undefined && /[;\r\n\0]/.test(value))
        findings.push(error(`${here}.value`, `${show(value)} is no attribute value: write it without ; and line ends`));
      if (seen.has(name.toLowerCase()))
        findings.push(error(`${here}.name`, `${show(name)} is there already: give each attribute once`));
      seen.add(name.toLowerCase());
    });
  }
  if (maglev !== undefined && (maglev.tableSize ?? 0) !== 0 && !isPrime(maglev.tableSize!))
    findings.push(
      error(`${path}.maglev.tableSize`, `${maglev.tableSize} is no prime: take one, such as 65537 (the default)`),
    );
  if ((hash.minimumRingSize ?? 0) !== 0)
    findings.push(
      hash.ringHash !== undefined || maglev !== undefined
        ? error(`${path}.minimumRingSize`, `${hash.minimumRingSize} contradicts ringHash and maglev: remove it`)
        : warning(
            `${path}.minimumRingSize`,
            `${hash.minimumRingSize} is deprecated here: use ringHash.minimumRingSize`,
          ),
    );
  return findings;
};

const warmsUp = (settings: LoadBalancerSettings): boolean =>
  settings.consistentHash === undefined && settings.simple !== "RANDOM" && settings.simple !== "PASSTHROUGH";

export const checkLoadBalancer = (
  path: string,
  settings: LoadBalancerSettings | undefined,
  hasOutlierDetection: boolean,
): readonly Finding[] => {
  if (settings === undefined) return [];
  const findings: Finding[] = [
    ...exclusive(path, settings, ["simple", "consistentHash"]),
    ...exclusive(path, settings, ["localityLbSetting", "zoneAwareLbSetting"]),
    ...exclusive(path, settings, ["warmup", "warmupDurationSecs"]),
    ...durationFindings(path, settings, ["warmupDurationSecs"]),
    ...checkLocality(`${path}.localityLbSetting`, settings.localityLbSetting, hasOutlierDetection),
    ...checkZoneAware(`${path}.zoneAwareLbSetting`, settings.zoneAwareLbSetting, hasOutlierDetection),
  ];
  if (settings.consistentHash !== undefined)
    findings.push(...checkConsistentHash(`${path}.consistentHash`, settings.consistentHash));
  if (settings.simple === "LEAST_CONN")
    findings.push(warning(`${path}.simple`, '"LEAST_CONN" is deprecated: write LEAST_REQUEST, which is the same'));
  if (settings.warmup !== undefined) {
    findings.push(...durationFindings(`${path}.warmup`, settings.warmup, ["duration"]));
    if (settings.warmup.aggression === 0)
      findings.push(error(`${path}.warmup.aggression`, "0 would never warm up: give more than 0; 1 is the default"));
  }
  if (settings.warmupDurationSecs !== undefined)
    findings.push(
      warning(
        `${path}.warmupDurationSecs`,
        `${show(settings.warmupDurationSecs)} is deprecated here: use warmup.duration`,
      ),
    );
  const warmup = settings.warmup === undefined ? "warmupDurationSecs" : "warmup";
  if (settings[warmup] !== undefined && !warmsUp(settings))
    findings.push(
      warning(
        `${path}.${warmup}`,
        `no effect with ${settings.simple ?? "consistentHash"}: only ROUND_ROBIN and LEAST_REQUEST warm endpoints up`,
      ),
    );
  return findings;
};
