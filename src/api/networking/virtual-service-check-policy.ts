import { parseDuration } from "../duration.js";
import { error, errorIf, show, warning } from "../findings.js";
import type { Finding } from "../kind.js";
import { grpcStatuses } from "./grpc-status.js";
import { headerNameFault } from "./headers.js";
import type { RegexCheck } from "./regex.js";
import { checkStringMatch } from "./virtual-service-check-match.js";
import type { CorsPolicy, HttpFaultInjection, HttpRetry } from "./virtual-service-policy.js";

/** Milliseconds; what a Duration of the proxy's holds is far more, what anyone means far less. */
const longestDuration = 10 * 365 * 24 * 3600 * 1000;

/** What is wrong with a length of time that may be 0, or undefined. */
export const timeFault = (text: string): string | undefined => {
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) return `${show(text)} is no duration; write it as 500ms, 1.5s or 1m`;
  if (milliseconds < 0) return `${show(text)} is negative; use 0s or more`;
  if (milliseconds > 0 && milliseconds < 1) return `${show(text)} is less than a millisecond; use 1ms or more`;
  return milliseconds > longestDuration ? `${show(text)} is longer than ten years` : undefined;
};

const positiveFault = (text: string): string | undefined =>
  timeFault(text) ?? (parseDuration(text) === 0 ? `${show(text)} is no time at all; use 1ms or more` : undefined);

/** Conditions that Envoy knows, for HTTP and gRPC. */
const retryConditions: ReadonlySet<string> = new Set([
  ...["5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx"],
  ...["refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure"],
  ...["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"],
]);

const isCondition = (text: string): boolean => retryConditions.has(text) || /^[1-5]\d\d$/.test(text);

export const checkRetries = (
  retries: HttpRetry | undefined,
  timeout: string | undefined,
  path: string,
): readonly Finding[] => {
  if (retries === undefined) return [];
  const { attempts = 0, perTryTimeout, retryOn, backoff, retryRemoteLocalities } = retries;
  const unknown = (retryOn ?? "")
    .split(",")
    .map((condition) => condition.trim())
    .filter((condition) => condition !== "" && !isCondition(condition));
  const [whole, each] = [parseDuration(timeout ?? "0") ?? 0, parseDuration(perTryTimeout ?? "0") ?? 0];
  return [
    ...(attempts === 0 && (perTryTimeout ?? retryOn ?? backoff ?? retryRemoteLocalities) !== undefined
      ? [warning(`${path}.attempts`, "is 0 or missing, so nothing is tried again; set it, or keep attempts: 0 alone")]
      : []),
    ...unknown.map((condition) =>
      error(
        `${path}.retryOn`,
        `${show(condition)} is no condition; use HTTP statuses or ${[...retryConditions].join(", ")}`,
      ),
    ),
    ...(perTryTimeout === undefined ? [] : errorIf(`${path}.perTryTimeout`, timeFault(perTryTimeout))),
    ...(backoff === undefined ? [] : errorIf(`${path}.backoff`, positiveFault(backoff))),
    ...(whole > 0 && each > whole
      ? [warning(`${path}.perTryTimeout`, `${show(perTryTimeout)} is longer than the timeout of the whole, ${timeout}`)]
      : []),
  ];
};

const nothingHappens = (path: string): Finding =>
  warning(`${path}.percentage`, "is missing, which means 0: nothing happens; set percentage.value");

const checkDelay = (delay: HttpFaultInjection["delay"], path: string): readonly Finding[] =>
  delay === undefined
    ? []
    : [
        ...(delay.exponentialDelay === undefined
          ? []
          : [error(`${path}.exponentialDelay`, "is not implemented; use fixedDelay")]),
        ...(delay.fixedDelay === undefined
          ? delay.exponentialDelay === undefined
            ? [error(`${path}.fixedDelay`, "is missing; say how long")]
            : []
          : errorIf(`${path}.fixedDelay`, positiveFault(delay.fixedDelay))),
        ...(delay.percent === undefined ? [] : [warning(`${path}.percent`, "is deprecated; use percentage.value")]),
        ...(delay.percent === undefined && delay.percentage === undefined ? [nothingHappens(path)] : []),
      ];

const checkAbort = (abort: HttpFaultInjection["abort"], path: string): readonly Finding[] => {
  if (abort === undefined) return [];
  const { httpStatus, grpcStatus, http2Error, percentage } = abort;
  const given = [httpStatus, grpcStatus, http2Error].filter((value) => value !== undefined).length;
  return [
    ...(given > 1 ? [error(path, "has several of httpStatus, grpcStatus, http2Error; keep one of them")] : []),
    ...(given === 0 ? [warning(path, "has no effect without httpStatus or grpcStatus")] : []),
    ...(http2Error === undefined
      ? []
      : [error(`${path}.http2Error`, "is not implemented; use httpStatus or grpcStatus")]),
    ...(httpStatus !== undefined && httpStatus < 200
      ? [error(`${path}.httpStatus`, `${httpStatus} is no final status; use 200 to 599`)]
      : []),
    ...(grpcStatus === undefined || grpcStatuses.includes(grpcStatus)
      ? []
      : [error(`${path}.grpcStatus`, `${show(grpcStatus)} is no gRPC status; use one of ${grpcStatuses.join(", ")}`)]),
    ...(percentage === undefined ? [nothingHappens(path)] : []),
  ];
};

export const checkFault = (fault: HttpFaultInjection | undefined, path: string): readonly Finding[] =>
  fault === undefined
    ? []
    : [
        ...(fault.delay === undefined && fault.abort === undefined
          ? [error(path, "is empty; set delay or abort")]
          : []),
        ...checkDelay(fault.delay, `${path}.delay`),
        ...checkAbort(fault.abort, `${path}.abort`),
      ];

const isAnyOrigin = ({ exact, regex }: { readonly exact?: string; readonly regex?: string }): boolean =>
  exact === "*" || regex === ".*" || regex === ".+";

export const checkCors = (cors: CorsPolicy | undefined, path: string, regex: RegexCheck): readonly Finding[] => {
  if (cors === undefined) return [];
  const age = cors.maxAge === undefined ? 0 : (parseDuration(cors.maxAge) ?? 0);
  const isForAll = (cors.allowOrigins ?? []).some(isAnyOrigin) || (cors.allowOrigin ?? []).includes("*");
  return [
    ...(cors.allowOrigin === undefined ? [] : [warning(`${path}.allowOrigin`, "is deprecated; use allowOrigins")]),
    ...(cors.allowOrigins ?? []).flatMap((origin, index) =>
      origin.exact === ""
        ? [error(`${path}.allowOrigins[${index}].exact`, "is empty; name an origin")]
        : checkStringMatch(origin, `${path}.allowOrigins[${index}]`, regex),
    ),
    ...(["allowMethods", "allowHeaders", "exposeHeaders"] as const).flatMap((field) =>
      (cors[field] ?? []).flatMap((name, index) => {
        const fault = headerNameFault(name);
        return errorIf(`${path}.${field}[${index}]`, fault === undefined ? undefined : `${show(name)} ${fault}`);
      }),
    ),
    ...(cors.maxAge === undefined ? [] : errorIf(`${path}.maxAge`, timeFault(cors.maxAge))),
    ...(age % 1000 === 0 ? [] : [error(`${path}.maxAge`, `${show(cors.maxAge)} is no whole number of seconds`)]),
    ...(cors.allowCredentials === true && isForAll
      ? [warning(`${path}.allowCredentials`, "gives every site the user's session; name the origins")]
      : []),
  ];
};
