import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EnvoyFilter } from "../../../../src/api/networking/envoy-filter.js";
import { envoyFilterValueFindings } from "../../../../src/compile/patch/patches.js";
import { filterOf } from "./support.js";

const findings = (applyTo: string, operation: string, value: string): readonly string[] =>
  envoyFilterValueFindings(
    filterOf(`\n- {applyTo: ${applyTo}, patch: {operation: ${operation}, value: ${value}}}`) as EnvoyFilter,
  ).map(
    ({ severity, path, message }) => `${severity} ${path.replace("spec.configPatches[0].patch.value", "")}: ${message}`,
  );

const lua = '"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua';
const merge = "MERGE";

const table: readonly (readonly [string, readonly [string, string, string], readonly RegExp[]])[] = [
  ["a sound value", ["CLUSTER", merge, "{connectTimeout: 1s, per_connection_buffer_limit_bytes: 5}"], []],
  [
    "an unknown field, with the one that is meant",
    ["CLUSTER", merge, "{conect_timeout: 1s}"],
    [
      /^error \.conect_timeout: envoy\.config\.cluster\.v3\.Cluster has no such field; did you mean "connect_timeout"\?$/,
    ],
  ],
  [
    "an unknown field that nothing is like",
    ["CLUSTER", merge, "{zzz: 1}"],
    [/^error \.zzz: .*no such field; remove it$/],
  ],
  [
    "a field within an Any within a filter",
    ["HTTP_FILTER", "ADD", `{name: a, typed_config: {${lua}, default_source_code: {inline_strin: a}}}`],
    [/^error \.typed_config\.default_source_code\.inline_strin: .*did you mean "inline_string"\?$/],
  ],
  [
    "an unknown type",
    ["HTTP_FILTER", "ADD", '{name: a, typed_config: {"@type": type.googleapis.com/envoy.extensions.Nothing}}'],
    [/^error \.typed_config\["@type"\]: .*is not a type of the Envoy API; correct it, or use xds.type.v3.TypedStruct/],
  ],
  [
    "a type of version 2",
    [
      "HTTP_FILTER",
      "ADD",
      '{name: a, typed_config: {"@type": type.googleapis.com/envoy.config.filter.http.lua.v2.Lua}}',
    ],
    [/^error \.typed_config\["@type"\]: .*version 2.*use the v3 type$/],
  ],
  [
    "no type",
    ["HTTP_FILTER", "ADD", "{name: a, typed_config: {a: b}}"],
    [/^error \.typed_config\["@type"\]: .*add it/],
  ],
  [
    "a text for a number",
    ["CLUSTER", merge, "{per_connection_buffer_limit_bytes: many}"],
    [/^error \.per_.*: "many": /],
  ],
  [
    "a duration that is none",
    ["CLUSTER", merge, "{connect_timeout: 1 second}"],
    [/^error \.connect_timeout: "1 second": /],
  ],
  ["an enum's value that is none", ["CLUSTER", merge, "{lb_policy: BEST}"], [/^error \.lb_policy: "BEST": /]],
  ["an object for a list", ["VIRTUAL_HOST", merge, "{domains: {a: b}}"], [/^error \.domains: .*is not a list/]],
  [
    "a text for an object",
    ["CLUSTER", merge, "{circuit_breakers: none}"],
    [/^error \.circuit_breakers: .*is not an object/],
  ],
  [
    "two of a oneof",
    ["HTTP_ROUTE", merge, "{match: {prefix: /, path: /a}}"],
    [/^error \.match\.path: prefix is set too, and only one/],
  ],
  [
    "several at once, each told",
    ["CLUSTER", merge, "{a_b_c: 1, lb_policy: BEST}"],
    [/^error \.a_b_c: /, /^error \.lb_policy: /],
  ],
  [
    "a rule of the protos broken",
    ["HTTP_ROUTE", merge, "{direct_response: {status: 1000}}"],
    [/^error \.direct_response\.status: 1000 must be less than 600$/],
  ],
  [
    "a duration out of its bounds",
    ["CLUSTER", merge, "{connect_timeout: -1s}"],
    [/^error \.connect_timeout: must be more than 0s$/],
  ],
  [
    "a new object without what it needs",
    [
      "HTTP_FILTER",
      "ADD",
      '{name: a, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit}}',
    ],
    [/^error \.typed_config\.stat_prefix: "" must have at least this many characters: 1$/],
  ],
  [
    "the same to be merged lacks nothing",
    [
      "HTTP_FILTER",
      merge,
      '{typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit}}',
    ],
    [],
  ],
  [
    "a new host without domains",
    ["VIRTUAL_HOST", "ADD", "{name: a, routes: [{match: {}, direct_response: {status: 200}}]}"],
    [/^error \.domains: needs at least 1$/, /^error \.routes\[0\]\.match: needs one of prefix/],
  ],
  [
    "a list to be appended is whole",
    ["VIRTUAL_HOST", merge, "{routes: [{direct_response: {status: 200}}]}"],
    [/^error \.routes\[0\]\.match: is required; add it$/],
  ],
  [
    "a header that is none",
    ["VIRTUAL_HOST", merge, '{request_headers_to_remove: ["a\\nb"]}'],
    [/^error \.request_headers_to_remove\[0\]: .*is not fit for an HTTP header$/],
  ],
  [
    "a TypedStruct of a known type is judged softly: the proxy may be newer",
    [
      "HTTP_FILTER",
      "ADD",
      '{name: a, typed_config: {"@type": type.googleapis.com/xds.type.v3.TypedStruct, type_url: type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua, value: {newer: 1}}}',
    ],
    [/^warning \.typed_config\.value\.newer: /],
  ],
  [
    "a TypedStruct of no type",
    [
      "HTTP_FILTER",
      "ADD",
      '{name: a, typed_config: {"@type": type.googleapis.com/udpa.type.v1.TypedStruct, value: {a: 1}}}',
    ],
    [/^error \.typed_config\.type_url: /],
  ],
  [
    "a deprecated field",
    ["CLUSTER", merge, "{http2_protocol_options: {}}"],
    [/^warning \.http2_protocol_options: Envoy deprecates this field/],
  ],
  [
    "a filter of another level",
    ["LISTENER_FILTER", "ADD", `{name: a, typed_config: {${lua}}}`],
    [/^error \.typed_config: .*Lua is a filter of the http level and not of the listener level; use it there$/],
  ],
  [
    "an extension without its configuration, deep in a value",
    ["LISTENER", merge, "{filter_chains: [{filters: [{name: envoy.filters.network.echo}]}]}"],
    [/^error \.filter_chains\[0\]\.filters\[0\]\.typed_config: is required/],
  ],
  ["null is unset", ["CLUSTER", merge, "{connect_timeout: null, name: null}"], []],
];

for (const [name, [applyTo, operation, value], expected] of table)
  test(name, () => {
    const told = findings(applyTo, operation, value);
    assert.is(told.length, expected.length, told.join("\n"));
    for (const [index, pattern] of expected.entries()) assert.match(told[index]!, pattern);
  });

test.run();
