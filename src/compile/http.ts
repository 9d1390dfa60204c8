import { create } from "@bufbuild/protobuf";
import type { MeshConfig } from "../api/meshconfig.js";
import type { Reporting } from "../model/telemetry.js";
import { type Filter, FilterSchema } from "../proto/envoy/config/listener/v3/listener_components_pb.js";
import type { RouteConfiguration } from "../proto/envoy/config/route/v3/route_pb.js";
import { FilterStateValue_SharedWithUpstream } from "../proto/envoy/extensions/filters/common/set_filter_state/v3/value_pb.js";
import { CorsSchema } from "../proto/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../proto/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { RouterSchema } from "../proto/envoy/extensions/filters/http/router/v3/router_pb.js";
import { ConfigSchema as SetFilterStateSchema } from "../proto/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { StatefulSessionSchema } from "../proto/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManager_CodecType,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpConnectionManagerSchema,
  type HttpFilter,
  HttpFilterSchema,
} from "../proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { packed } from "./encode.js";
import { httpDefences } from "./http-defences.js";
import type { Init } from "./init.js";
import { policyFilters } from "./policy/slots.js";
import type { Security } from "./telemetry/labels.js";
import { requestLogs } from "./telemetry/logs.js";
import { fromStream } from "./tls.js";

/** Set by the callee's proxy when its application could not be reached: the request is safe to try elsewhere. */
export const unreachedHeader = "x-heddle-unreached";

const router = (options: Init<typeof RouterSchema> = {}): HttpFilter =>
  create(HttpFilterSchema, {
    name: "envoy.filters.http.router",
    configType: { case: "typedConfig", value: packed(RouterSchema, create(RouterSchema, options)) },
  });

export const faultFilterName = "envoy.filters.http.fault";
export const corsFilterName = "envoy.filters.http.cors";
export const sessionFilterName = "envoy.filters.http.stateful_session";

/** They do nothing but for routes that carry a configuration for them. */
const perRouteFilters = (): HttpFilter[] => [
  create(HttpFilterSchema, {
    name: faultFilterName,
    configType: { case: "typedConfig", value: packed(HTTPFaultSchema, create(HTTPFaultSchema)) },
  }),
  create(HttpFilterSchema, {
    name: corsFilterName,
    configType: { case: "typedConfig", value: packed(CorsSchema, create(CorsSchema)) },
  }),
  create(HttpFilterSchema, {
    name: sessionFilterName,
    configType: { case: "typedConfig", value: packed(StatefulSessionSchema, create(StatefulSessionSchema)) },
  }),
];

/** Makes the upstream TLS connection offer these protocols, whatever the cluster's own list says. */
export const offerAlpn = (protocols: readonly string[]): HttpFilter =>
  create(HttpFilterSchema, {
    name: "envoy.filters.http.set_filter_state",
    configType: {
      case: "typedConfig",
      value: packed(
        SetFilterStateSchema,
        create(SetFilterStateSchema, {
          onRequestHeaders: [
            {
              key: { case: "objectKey", value: "envoy.network.application_protocols" },
              value: {
                case: "formatString",
                value: {
                  format: {
                    case: "textFormatSource",
                    value: { specifier: { case: "inlineString", value: protocols.join(",") } },
                  },
                },
              },
              sharedWithUpstream: FilterStateValue_SharedWithUpstream.ONCE,
            },
          ],
        }),
      ),
    },
  });

export type RouteSource = { readonly name: string } | { readonly inline: RouteConfiguration };

export interface HttpFilterChainOptions {
  readonly direction: "inbound" | "outbound";
  readonly statPrefix: string;
  readonly routes: RouteSource;
  readonly filters?: readonly HttpFilter[];
  readonly router?: Init<typeof RouterSchema>;
  readonly mesh: MeshConfig;
  readonly reporting: Reporting;
  /** Of what comes in: whether its callers have proved who they are. */
  readonly security?: Security;
  /** Whether nothing but HTTP/1 comes here. */
  readonly isHttp1?: boolean;
}

/** How much of a path is made one form before it is matched, on every listener alike: what differs is a way around. */
const normalization = ({ pathNormalization }: MeshConfig) => ({
  normalizePath: pathNormalization !== "NONE",
  mergeSlashes: pathNormalization === "MERGE_SLASHES" || pathNormalization === "DECODE_AND_MERGE_SLASHES",
  pathWithEscapedSlashesAction:
    pathNormalization === "DECODE_AND_MERGE_SLASHES"
      ? HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD
      : HttpConnectionManager_PathWithEscapedSlashesAction.KEEP_UNCHANGED,
});

/** One HTTP connection manager with the mesh's protections; inbound it reports the verified caller in XFCC. */
export const httpConnectionManager = (options: HttpFilterChainOptions): Filter => {
  const isInbound = options.direction === "inbound";
  const manager: HttpConnectionManager = create(HttpConnectionManagerSchema, {
    statPrefix: options.statPrefix,
    codecType: HttpConnectionManager_CodecType.AUTO,
    routeSpecifier:
      "name" in options.routes
        ? { case: "rds", value: { routeConfigName: options.routes.name, configSource: fromStream() } }
        : { case: "routeConfig", value: options.routes.inline },
    httpFilters: [
      ...(isInbound ? policyFilters() : []),
      ...(options.filters ?? []),
      ...(isInbound ? [] : perRouteFilters()),
      router(options.router),
    ],
    useRemoteAddress: false,
    ...normalization(options.mesh),
    ...httpDefences(),
    accessLog: requestLogs(
      {
        ...{ mesh: options.mesh, reporting: options.reporting },
        side: isInbound ? "server" : "client",
        security: options.security ?? "plaintext",
      },
      options.isHttp1,
    ),
    serverHeaderTransformation: HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH,
    upgradeConfigs: [{ upgradeType: "websocket" }],
    streamIdleTimeout: { seconds: 0n },
    // Only what this connection proves: whatever the caller wrote into the header is dropped.
    forwardClientCertDetails: isInbound
      ? HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET
      : HttpConnectionManager_ForwardClientCertDetails.SANITIZE,
    ...(isInbound
      ? {
          setCurrentClientCertDetails: { subject: true, uri: true, dns: true },
          localReplyConfig: {
            mappers: [
              {
                filter: { filterSpecifier: { case: "responseFlagFilter" as const, value: { flags: ["UF"] } } },
                headersToAdd: [{ header: { key: unreachedHeader, value: "true" } }],
              },
            ],
          },
        }
      : {}),
  });
  return create(FilterSchema, {
    name: "envoy.filters.network.http_connection_manager",
    configType: { case: "typedConfig", value: packed(HttpConnectionManagerSchema, manager) },
  });
};
