import { create, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { TypedExtensionConfigSchema } from "../../proto/envoy/config/core/v3/extension_pb.js";
import { JwtAuthenticationSchema } from "../../proto/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { RBACSchema } from "../../proto/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import {
  type HttpFilter,
  HttpFilterSchema,
} from "../../proto/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { encodeResource, packed } from "../encode.js";
import { type EncodedResource, typeUrls } from "../resources.js";
import { fromStream } from "../tls.js";

/**
 * HTTP filters of what a pod serves, in the order that requests pass them. Their configuration is a resource of its own
 * name (ECDS), and not a part of the listener: a policy that changes holds from the next request on, on connections that
 * are open too, and closes none. Each is always there, so that the first policy is no change of the listener either.
 */
const slots = {
  authentication: { name: "envoy.filters.http.jwt_authn", schema: JwtAuthenticationSchema },
  audit: { name: "envoy.filters.http.rbac", schema: RBACSchema },
  deny: { name: "envoy.filters.http.rbac.deny", schema: RBACSchema },
  allow: { name: "envoy.filters.http.rbac.allow", schema: RBACSchema },
} as const satisfies Readonly<Record<string, { readonly name: string; readonly schema: DescMessage }>>;

type Slot = keyof typeof slots;

export const authenticationFilters: readonly string[] = [slots.authentication.name];
export const authorizationFilters: readonly string[] = [slots.audit.name, slots.deny.name, slots.allow.name];

/** Without a configuration the proxy waits, and serves nothing. */
export const policyFilters = (): HttpFilter[] =>
  Object.values(slots).map(({ name, schema }) =>
    create(HttpFilterSchema, {
      name,
      configType: {
        case: "configDiscovery",
        value: { configSource: fromStream(), typeUrls: [`type.googleapis.com/${schema.typeName}`] },
      },
    }),
  );

/** What the filter of a slot does; an empty configuration lets everything pass. */
export const policyResource = <Name extends Slot>(
  slot: Name,
  config: MessageShape<(typeof slots)[Name]["schema"]>,
): EncodedResource => {
  const { name, schema }: { readonly name: string; readonly schema: DescMessage } = slots[slot];
  return encodeResource(
    typeUrls.extension,
    name,
    TypedExtensionConfigSchema,
    create(TypedExtensionConfigSchema, { name, typedConfig: packed(schema, config) }),
  );
};
