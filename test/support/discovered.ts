import { create, fromBinary } from "@bufbuild/protobuf";
import { packed } from "../../src/compile/encode.js";
import type { TypedExtensionConfig } from "../../src/proto/envoy/config/core/v3/extension_pb.js";
import { type Filter, FilterSchema } from "../../src/proto/envoy/config/listener/v3/listener_components_pb.js";
import type { Listener } from "../../src/proto/envoy/config/listener/v3/listener_pb.js";
import {
  HttpConnectionManagerSchema,
  type HttpFilter,
  HttpFilterSchema,
} from "../../src/proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";

const inlined = (filter: HttpFilter, extensions: ReadonlyMap<string, TypedExtensionConfig>): HttpFilter => {
  if (filter.configType.case !== "configDiscovery") return filter;
  const value = extensions.get(filter.name)?.typedConfig;
  if (value === undefined) throw new Error(`nothing configures ${filter.name}`);
  return create(HttpFilterSchema, { name: filter.name, configType: { case: "typedConfig", value } });
};

const withConfigurations = (filter: Filter, extensions: ReadonlyMap<string, TypedExtensionConfig>): Filter => {
  if (filter.configType.case !== "typedConfig") return filter;
  if (!filter.configType.value.typeUrl.endsWith(HttpConnectionManagerSchema.typeName)) return filter;
  const manager = fromBinary(HttpConnectionManagerSchema, filter.configType.value.value);
  manager.httpFilters = manager.httpFilters.map((each) => inlined(each, extensions));
  const value = packed(HttpConnectionManagerSchema, manager);
  return create(FilterSchema, { name: filter.name, configType: { case: "typedConfig", value } });
};

/** The listener for an Envoy without a control plane: filters have within them what they would discover. */
export const withDiscovered = (
  listener: Listener,
  extensions: ReadonlyMap<string, TypedExtensionConfig>,
): Listener => ({
  ...listener,
  filterChains: listener.filterChains.map((chain) => ({
    ...chain,
    filters: chain.filters.map((filter) => withConfigurations(filter, extensions)),
  })),
});
