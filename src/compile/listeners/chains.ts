import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { MeshConfig } from "../../api/meshconfig.js";
import {
  type Filter,
  type FilterChain,
  type FilterChainMatchSchema,
  FilterChainSchema,
  type ListenerFilter,
  ListenerFilterChainMatchPredicateSchema,
  ListenerFilterSchema,
} from "../../proto/envoy/config/listener/v3/listener_components_pb.js";
import { HttpInspectorSchema } from "../../proto/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { OriginalDstSchema } from "../../proto/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { OriginalSrcSchema } from "../../proto/envoy/extensions/filters/listener/original_src/v3/original_src_pb.js";
import { TlsInspectorSchema } from "../../proto/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { packed } from "../encode.js";

/** As in the redirect rules of TPROXY. */
const tproxyMark = 0x539;

/** What http_inspector calls plain HTTP/1 and HTTP/2. */
const plainProtocols = { http1: ["http/1.0", "http/1.1"], http2: ["h2c"] } as const;

/** HTTP without TLS: a client's own TLS may well offer `http/1.1` too. */
export const plainHttp = (...versions: readonly (keyof typeof plainProtocols)[]) => ({
  transportProtocol: "raw_buffer",
  applicationProtocols: versions.flatMap((version) => [...plainProtocols[version]]),
});

const listenerFilter = (name: string, typedConfig: ReturnType<typeof packed>): ListenerFilter =>
  create(ListenerFilterSchema, { name, configType: { case: "typedConfig", value: typedConfig } });

export const originalDst = (): ListenerFilter =>
  listenerFilter("envoy.filters.listener.original_dst", packed(OriginalDstSchema, create(OriginalDstSchema)));

/** Connections to the application come from the caller's address; the pod's rules know them, and the answers, by the mark. */
export const originalSrc = (): ListenerFilter =>
  listenerFilter(
    "envoy.filters.listener.original_src",
    packed(OriginalSrcSchema, create(OriginalSrcSchema, { mark: tproxyMark })),
  );

/** Inspectors that do not wait for bytes on these destination ports, where the server may have to speak first. */
const unlessOn = (filter: ListenerFilter, ports: readonly number[]): ListenerFilter => {
  if (ports.length === 0) return filter;
  const rules = ports.map((port) => ({
    rule: { case: "destinationPortRange" as const, value: { start: port, end: port + 1 } },
  }));
  return create(ListenerFilterSchema, {
    ...filter,
    filterDisabled: create(
      ListenerFilterChainMatchPredicateSchema,
      rules.length === 1 ? rules[0]! : { rule: { case: "orMatch", value: { rules } } },
    ),
  });
};

export const tlsInspector = (exceptPorts: readonly number[] = []): ListenerFilter =>
  unlessOn(
    listenerFilter("envoy.filters.listener.tls_inspector", packed(TlsInspectorSchema, create(TlsInspectorSchema))),
    exceptPorts,
  );

export const httpInspector = (exceptPorts: readonly number[] = []): ListenerFilter =>
  unlessOn(
    listenerFilter("envoy.filters.listener.http_inspector", packed(HttpInspectorSchema, create(HttpInspectorSchema))),
    exceptPorts,
  );

export const detection = (mesh: MeshConfig) => ({
  listenerFiltersTimeout: {
    seconds: BigInt(Math.floor(mesh.protocolDetectionTimeoutMilliseconds / 1000)),
    nanos: (mesh.protocolDetectionTimeoutMilliseconds % 1000) * 1_000_000,
  },
  continueOnListenerFiltersTimeout: true,
});

export const chain = (
  name: string,
  match: MessageInitShape<typeof FilterChainMatchSchema>,
  filters: Filter[],
  extra: Pick<MessageInitShape<typeof FilterChainSchema>, "transportSocket"> = {},
): FilterChain => create(FilterChainSchema, { name, filterChainMatch: match, filters, ...extra });
