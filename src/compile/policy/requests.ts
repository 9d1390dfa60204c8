import { create } from "@bufbuild/protobuf";
import { isPathTemplate } from "../../api/security/path-template.js";
import {
  type Permission,
  PermissionSchema,
  type Principal,
  PrincipalSchema,
} from "../../proto/envoy/config/rbac/v3/rbac_pb.js";
import { type HeaderMatcher, HeaderMatcherSchema } from "../../proto/envoy/config/route/v3/route_components_pb.js";
import { literal, matcherOf, regexMatcher } from "./patterns.js";

const header = (name: string, value: string, ignoreCase = false): HeaderMatcher =>
  create(HeaderMatcherSchema, {
    name,
    headerMatchSpecifier:
      value === "*"
        ? { case: "presentMatch", value: true }
        : { case: "stringMatch", value: matcherOf(value, { ignoreCase }) },
  });

const permission = (value: HeaderMatcher): Permission => create(PermissionSchema, { rule: { case: "header", value } });

export const hostIs = (value: string): Permission => permission(header(":authority", value, true));
export const methodIs = (value: string): Permission => permission(header(":method", value));

export const headerIs = (name: string, value: string): Principal =>
  create(PrincipalSchema, { identifier: { case: "header", value: header(name, value) } });

/**
 * A template as a regular expression for the whole path. Envoy's own uri_template knows only the characters that RFC 3986
 * allows in a path: what a client sends beyond these would pass by a DENY policy where paths are not normalised.
 */
const templateRegex = (template: string): string =>
  template
    .split("/")
    .map((segment) => (segment === "{*}" ? "[^/]+" : segment === "{**}" ? ".*" : literal(segment)))
    .join("/");

/** The path without query and fragment, normalised as the listener does it. */
export const pathIs = (value: string): Permission =>
  create(PermissionSchema, {
    rule: {
      case: "urlPath",
      value: {
        rule: {
          case: "path",
          value: isPathTemplate(value) ? regexMatcher(templateRegex(value)) : matcherOf(value),
        },
      },
    },
  });
