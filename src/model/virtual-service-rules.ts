import { parseDuration } from "../api/duration.js";
import type {
  CorsPolicy,
  Headers,
  HttpDirectResponse,
  HttpFaultInjection,
  HttpMatchRequest,
  HttpRedirect,
  HttpRetry,
  HttpRewrite,
  HttpRoute,
  RouteDestination,
  TcpRoute,
  TlsRoute,
  Destination as WrittenDestination,
} from "../api/networking/virtual-service.js";
import type { RuntimeMatch } from "../api/networking/virtual-service-match.js";
import { qualifiedHost } from "./host.js";

/** Where traffic goes; the host is a full name. Without a port: the host's only one, or the one that was called. */
export interface Destination {
  readonly host: string;
  readonly subset?: string | undefined;
  readonly port?: number | undefined;
}

export interface WeightedDestination {
  readonly destination: Destination;
  readonly weight: number;
  readonly headers: Headers | undefined;
}

/** What is decided when the configuration of a proxy is made. */
export interface StaticMatch {
  readonly port?: number | undefined;
  readonly sourceLabels?: Readonly<Record<string, string>> | undefined;
  readonly sourceNamespace?: string | undefined;
  /** `mesh` or `namespace/name`. */
  readonly gateways?: readonly string[] | undefined;
}

export interface HttpMatch extends StaticMatch, RuntimeMatch {
  readonly name?: string | undefined;
  readonly ignoreUriCase?: boolean | undefined;
  readonly statPrefix?: string | undefined;
}

export interface Retries {
  /** 0 for none. */
  readonly attempts: number;
  /** Conditions as Envoy names them; empty for the default ones. */
  readonly conditions: readonly string[];
  readonly statuses: readonly number[];
  readonly perTryTimeoutMilliseconds: number | undefined;
  readonly backoffMilliseconds: number | undefined;
  readonly remoteLocalities: boolean;
  readonly ignorePreviousHosts: boolean | undefined;
}

export interface Mirror {
  readonly destination: Destination;
  readonly percentage: number;
}

export interface Fault {
  readonly delay: { readonly milliseconds: number; readonly percentage: number } | undefined;
  readonly abort:
    | {
        readonly httpStatus?: number | undefined;
        readonly grpcStatus?: string | undefined;
        readonly percentage: number;
      }
    | undefined;
}

/** One rule for HTTP; what is undefined was not said. */
export interface HttpRule {
  readonly name: string;
  /** Any of these; none for every request. */
  readonly match: readonly HttpMatch[];
  readonly route: readonly WeightedDestination[];
  readonly redirect: HttpRedirect | undefined;
  readonly directResponse: HttpDirectResponse | undefined;
  readonly rewrite: HttpRewrite | undefined;
  readonly timeoutMilliseconds: number | undefined;
  readonly retries: Retries | undefined;
  readonly fault: Fault | undefined;
  readonly mirrors: readonly Mirror[] | undefined;
  readonly corsPolicy: CorsPolicy | undefined;
  readonly headers: Headers | undefined;
}

export interface TlsMatch extends StaticMatch {
  readonly sniHosts: readonly string[];
  readonly destinationSubnets: readonly string[];
}

export interface TlsRule {
  readonly match: readonly TlsMatch[];
  readonly route: readonly WeightedDestination[];
}

export interface TcpMatch extends StaticMatch {
  readonly destinationSubnets: readonly string[];
}

export interface TcpRule {
  /** Any of these; none for every connection. */
  readonly match: readonly TcpMatch[];
  readonly route: readonly WeightedDestination[];
}

/** What gives names their full form. */
export interface NameScope {
  readonly namespace: string;
  readonly clusterDomain: string;
}

/** `namespace/name`, also of the old form `name.namespace.svc...`; `mesh` stays. */
export const gatewayKey = (gateway: string, namespace: string): string => {
  if (gateway === "mesh") return gateway;
  const [first = "", second] = gateway.split("/");
  if (second !== undefined) return `${first === "." ? namespace : first}/${second}`;
  const [name, of = namespace] = first.split(".");
  return `${of}/${name}`;
};

const destinationOf = ({ host, subset, port }: WrittenDestination, scope: NameScope): Destination => ({
  host: qualifiedHost(host, scope.namespace, scope.clusterDomain),
  ...(subset ? { subset } : {}),
  ...(port?.number ? { port: port.number } : {}),
});

const destinationsOf = (
  route: readonly (RouteDestination & { readonly headers?: Headers })[] | undefined,
  scope: NameScope,
): readonly WeightedDestination[] =>
  (route ?? []).map(({ destination, weight, headers }) => ({
    destination: destinationOf(destination, scope),
    weight: weight ?? 0,
    headers,
  }));

const staticMatch = (match: StaticMatch, namespace: string): StaticMatch => ({
  ...(match.port ? { port: match.port } : {}),
  ...(Object.keys(match.sourceLabels ?? {}).length > 0 ? { sourceLabels: match.sourceLabels } : {}),
  ...(match.sourceNamespace ? { sourceNamespace: match.sourceNamespace } : {}),
  ...((match.gateways?.length ?? 0) > 0
    ? { gateways: match.gateways!.map((gateway) => gatewayKey(gateway, namespace)) }
    : {}),
});

const httpMatch = (match: HttpMatchRequest, { namespace }: NameScope): HttpMatch => {
  const { port: _p, sourceLabels: _l, sourceNamespace: _n, gateways: _g, ...rest } = match;
  return { ...rest, ...staticMatch(match, namespace) };
};

const milliseconds = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseDuration(text);

export const retriesOf = (retries: HttpRetry): Retries => {
  const conditions = (retries.retryOn ?? "")
    .split(",")
    .map((condition) => condition.trim())
    .filter((condition) => condition !== "");
  const isStatus = (condition: string): boolean => /^\d+$/.test(condition);
  return {
    attempts: retries.attempts ?? 0,
    conditions: conditions.filter((condition) => !isStatus(condition)),
    statuses: conditions.filter(isStatus).map(Number),
    perTryTimeoutMilliseconds: milliseconds(retries.perTryTimeout) || undefined,
    backoffMilliseconds: milliseconds(retries.backoff) || undefined,
    remoteLocalities: retries.retryRemoteLocalities ?? false,
    ignorePreviousHosts: retries.retryIgnorePreviousHosts,
  };
};

const faultOf = ({ delay, abort }: HttpFaultInjection): Fault => {
  const wait = milliseconds(delay?.fixedDelay) ?? 0;
  const isAbort = abort?.httpStatus !== undefined || abort?.grpcStatus !== undefined;
  return {
    delay:
      delay === undefined || wait <= 0
        ? undefined
        : { milliseconds: wait, percentage: delay.percentage ? (delay.percentage.value ?? 0) : (delay.percent ?? 0) },
    abort: isAbort
      ? { httpStatus: abort.httpStatus, grpcStatus: abort.grpcStatus, percentage: abort.percentage?.value ?? 0 }
      : undefined,
  };
};

const mirrorsOf = (route: HttpRoute, scope: NameScope): readonly Mirror[] | undefined => {
  if (route.mirror === undefined && route.mirrors === undefined) return undefined;
  const { mirrorPercentage, mirrorPercent, mirror_percent } = route;
  const share = mirrorPercentage ? (mirrorPercentage.value ?? 0) : (mirrorPercent ?? mirror_percent ?? 100);
  return [
    ...(route.mirror === undefined ? [] : [{ destination: destinationOf(route.mirror, scope), percentage: share }]),
    ...(route.mirrors ?? []).map(({ destination, percentage }) => ({
      destination: destinationOf(destination, scope),
      percentage: percentage === undefined ? 100 : (percentage.value ?? 0),
    })),
  ];
};

export const httpRule = (route: HttpRoute, scope: NameScope): HttpRule => ({
  name: route.name ?? "",
  match: (route.match ?? []).map((match) => httpMatch(match, scope)),
  route: destinationsOf(route.route, scope),
  redirect: route.redirect,
  directResponse: route.directResponse,
  rewrite: route.rewrite,
  timeoutMilliseconds: milliseconds(route.timeout),
  retries: route.retries === undefined ? undefined : retriesOf(route.retries),
  fault: route.fault === undefined ? undefined : faultOf(route.fault),
  mirrors: mirrorsOf(route, scope),
  corsPolicy: route.corsPolicy,
  headers: route.headers,
});

export const tlsRule = ({ match, route }: TlsRoute, scope: NameScope): TlsRule => ({
  match: match.map((each) => ({
    ...staticMatch(each, scope.namespace),
    sniHosts: each.sniHosts.map((host) => host.toLowerCase()),
    destinationSubnets: each.destinationSubnets ?? [],
  })),
  route: destinationsOf(route, scope),
});

export const tcpRule = ({ match, route }: TcpRoute, scope: NameScope): TcpRule => ({
  match: (match ?? []).map((each) => ({
    ...staticMatch(each, scope.namespace),
    destinationSubnets: each.destinationSubnets ?? [],
  })),
  route: destinationsOf(route, scope),
});
