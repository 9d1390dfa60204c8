import { create } from "@bufbuild/protobuf";
import {
  authorizerHost,
  type ExtensionProvider,
  type GrpcAuthorizer,
  type HttpAuthorizer,
} from "../../api/extension-provider.js";
import { ApiVersion } from "../../proto/envoy/config/core/v3/config_source_pb.js";
import { type Filter, FilterSchema } from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { type ExtAuthz, ExtAuthzSchema } from "../../proto/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { ExtAuthzSchema as NetworkExtAuthzSchema } from "../../proto/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { StringMatcherSchema } from "../../proto/envoy/type/matcher/v3/string_pb.js";
import type { StatusCode } from "../../proto/envoy/type/v3/http_status_pb.js";
import { outboundClusterName } from "../clusters/names.js";
import { durationOf, durationOfText } from "../duration.js";
import { packed } from "../encode.js";
import { matcherOf } from "./patterns.js";
import { metadataText } from "./tokens.js";

/** Where the rules that ask leave the name of the one that matched, for the filter that asks. */
export const askedPrefix = "istio_ext_authz_";
const askedKey = `${askedPrefix}shadow_effective_policy_id`;
export const askedRule = "istio-ext-authz-";

const longestWait = durationOf(600_000);
const clusterOf = (authorizer: GrpcAuthorizer | HttpAuthorizer): string =>
  outboundClusterName(authorizerHost(authorizer), authorizer.port);

const timeoutOf = ({ timeout }: Pick<GrpcAuthorizer, "timeout">) => durationOfText(timeout) ?? longestWait;

const whereAsked = (filter: string) =>
  metadataText(
    filter,
    [askedKey],
    create(StringMatcherSchema, { matchPattern: { case: "prefix", value: askedRule } }),
    "text",
  );

const grpcService = (authorizer: GrpcAuthorizer) => ({
  targetSpecifier: {
    case: "envoyGrpc" as const,
    value: { clusterName: clusterOf(authorizer), authority: authorizerHost(authorizer) },
  },
  timeout: timeoutOf(authorizer),
});

const headerList = (names: readonly string[] | undefined) =>
  names === undefined || names.length === 0
    ? undefined
    : { patterns: names.map((name) => matcherOf(name, { ignoreCase: true })) };

/** Undefined fields are left out, which the protos' types ask for. */
const withoutUndefined = <Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]: NonNullable<Fields[Name]> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;

const httpServices = (authorizer: HttpAuthorizer) => {
  const host = authorizerHost(authorizer);
  return {
    case: "httpService" as const,
    value: {
      serverUri: {
        uri: `http://${host}:${authorizer.port}`,
        httpUpstreamType: { case: "cluster" as const, value: clusterOf(authorizer) },
        timeout: timeoutOf(authorizer),
      },
      pathPrefix: authorizer.pathPrefix ?? "",
      authorizationRequest: {
        headersToAdd: Object.entries(authorizer.includeAdditionalHeadersInCheck ?? {})
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, value]) => ({ key, value })),
      },
      authorizationResponse: withoutUndefined({
        allowedUpstreamHeaders: headerList(authorizer.headersToUpstreamOnAllow),
        allowedClientHeaders: headerList(authorizer.headersToDownstreamOnDeny),
        allowedClientHeadersOnSuccess: headerList(authorizer.headersToDownstreamOnAllow),
      }),
    },
  };
};

const common = (authorizer: GrpcAuthorizer) => {
  const { failOpen = false, clearRouteCache = false, statusOnError, includeRequestBodyInCheck: body } = authorizer;
  return {
    transportApiVersion: ApiVersion.V3,
    failureModeAllow: failOpen,
    clearRouteCache,
    filterEnabledMetadata: whereAsked("envoy.filters.http.rbac"),
    ...(statusOnError === undefined ? {} : { statusOnError: { code: Number(statusOnError) as StatusCode } }),
    ...(body === undefined
      ? {}
      : {
          withRequestBody: {
            maxRequestBytes: body.maxRequestBytes ?? 0,
            allowPartialMessage: body.allowPartialMessage ?? false,
            packAsBytes: body.packAsBytes ?? false,
          },
        }),
  };
};

/** Asks about requests that a rule has marked. Undefined for a provider that is for something else. */
export const requestAuthorizer = ({
  envoyExtAuthzGrpc: overGrpc,
  envoyExtAuthzHttp: overHttp,
}: ExtensionProvider): ExtAuthz | undefined => {
  if (overGrpc !== undefined)
    return create(ExtAuthzSchema, {
      ...common(overGrpc),
      services: { case: "grpcService", value: grpcService(overGrpc) },
    });
  if (overHttp === undefined) return undefined;
  const allowedHeaders = headerList(overHttp.includeRequestHeadersInCheck ?? overHttp.includeHeadersInCheck);
  return create(ExtAuthzSchema, {
    ...common(overHttp),
    services: httpServices(overHttp),
    ...(allowedHeaders === undefined ? {} : { allowedHeaders }),
  });
};

/** Asks about connections that a rule has marked; only gRPC can. */
export const connectionAuthorizer = ({ envoyExtAuthzGrpc: overGrpc }: ExtensionProvider): Filter | undefined =>
  overGrpc &&
  create(FilterSchema, {
    name: "envoy.filters.network.ext_authz",
    configType: {
      case: "typedConfig",
      value: packed(
        NetworkExtAuthzSchema,
        create(NetworkExtAuthzSchema, {
          statPrefix: "tcp.",
          transportApiVersion: ApiVersion.V3,
          failureModeAllow: overGrpc.failOpen ?? false,
          filterEnabledMetadata: whereAsked("envoy.filters.network.rbac"),
          grpcService: grpcService(overGrpc),
        }),
      ),
    },
  });
