import { type Static, Type } from "typebox";
import type { ConfigObject } from "../kind.js";
import { EnvoyConfigObjectMatch } from "./envoy-filter-match.js";
import { WorkloadSelector } from "./workload-selector.js";

const closed = { additionalProperties: false } as const;

export const applyTos = [
  "LISTENER",
  "FILTER_CHAIN",
  "NETWORK_FILTER",
  "HTTP_FILTER",
  "ROUTE_CONFIGURATION",
  "VIRTUAL_HOST",
  "HTTP_ROUTE",
  "CLUSTER",
  "EXTENSION_CONFIG",
  "BOOTSTRAP",
  "LISTENER_FILTER",
] as const;
export type ApplyTo = (typeof applyTos)[number];

export const operations = [
  "MERGE",
  "ADD",
  "REMOVE",
  "INSERT_BEFORE",
  "INSERT_AFTER",
  "INSERT_FIRST",
  "REPLACE",
  "MERGE_AND_REPLACE_LIST",
] as const;
export type Operation = (typeof operations)[number];

const Patch = Type.Object(
  {
    operation: Type.Optional(
      Type.Enum([...operations], {
        description:
          "MERGE lays the value over what is there (lists grow), MERGE_AND_REPLACE_LIST the same with lists exchanged; " +
          "ADD appends, before a terminal filter; INSERT_BEFORE, INSERT_AFTER and INSERT_FIRST place a filter or route " +
          "by the one that match names; REPLACE and REMOVE act on what match names.",
      }),
    ),
    value: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description: "JSON form of the Envoy message; extensions carry their type in `@type`.",
      }),
    ),
    filterClass: Type.Optional(
      Type.Enum(["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"], {
        description:
          "Deprecated: where ADD puts an HTTP filter: after authentication (AUTHN), after authorization (AUTHZ) or at the " +
          "end (STATS). Use INSERT_BEFORE or INSERT_AFTER.",
      }),
    ),
  },
  { ...closed, description: "What is done." },
);

export const EnvoyConfigObjectPatch = Type.Object(
  {
    applyTo: Type.Optional(Type.Enum([...applyTos], { description: "The class of object that is patched." })),
    match: Type.Optional(EnvoyConfigObjectMatch),
    patch: Type.Optional(Patch),
  },
  { ...closed, description: "One change of the generated configuration." },
);
export type EnvoyConfigObjectPatch = Static<typeof EnvoyConfigObjectPatch>;

export const EnvoyFilterSpec = Type.Object(
  {
    workloadSelector: Type.Optional(WorkloadSelector),
    targetRefs: Type.Optional(
      Type.Array(
        Type.Object(
          {
            group: Type.Optional(Type.String({ maxLength: 253, description: "API group; gateway.networking.k8s.io." })),
            kind: Type.String({ minLength: 1, maxLength: 63, description: "Kind of the object; Gateway." }),
            name: Type.String({ minLength: 1, maxLength: 253, description: "Name of the object." }),
            namespace: Type.Optional(
              Type.String({ maxLength: 63, description: "Namespace of the object, which must be the filter's own." }),
            ),
          },
          { ...closed, description: "An object whose proxies the filter is for." },
        ),
        { maxItems: 16, description: "Gateways of the Kubernetes Gateway API that the filter is for." },
      ),
    ),
    configPatches: Type.Optional(
      Type.Array(EnvoyConfigObjectPatch, { maxItems: 1024, description: "Changes, applied in this order." }),
    ),
    priority: Type.Optional(
      Type.Integer({
        minimum: -2147483648,
        maximum: 2147483647,
        description:
          "Filters are applied from the lowest to the highest, then the root namespace's before the workload's, then the " +
          "older first; 0 if unset.",
      }),
    ),
  },
  { ...closed, description: "Changes to the Envoy configuration that the mesh generates." },
);
export type EnvoyFilterSpec = Static<typeof EnvoyFilterSpec>;
export type EnvoyFilter = ConfigObject<EnvoyFilterSpec>;
