import type { Static } from "typebox";
import type { ConfigObject, Finding, KindDefinition } from "./kind.js";
import { destinationRule } from "./networking/destination-rule.js";
import { envoyFilter } from "./networking/envoy-filter.js";
import { proxyConfig } from "./networking/proxy-config.js";
import { serviceEntry } from "./networking/service-entry.js";
import { sidecar } from "./networking/sidecar.js";
import { virtualService } from "./networking/virtual-service.js";
import { workloadEntry } from "./networking/workload-entry.js";
import { workloadGroup } from "./networking/workload-group.js";
import { authorizationPolicy } from "./security/authorization-policy.js";
import { peerAuthentication } from "./security/peer-authentication.js";
import { requestAuthentication } from "./security/request-authentication.js";
import { telemetry } from "./telemetry/telemetry.js";

/** Every kind of the configuration API, by its name: watching, validation and the definitions in a cluster go by this. */
export const configurationKinds = {
  VirtualService: virtualService,
  DestinationRule: destinationRule,
  EnvoyFilter: envoyFilter,
  ServiceEntry: serviceEntry,
  WorkloadEntry: workloadEntry,
  WorkloadGroup: workloadGroup,
  Sidecar: sidecar,
  ProxyConfig: proxyConfig,
  PeerAuthentication: peerAuthentication,
  AuthorizationPolicy: authorizationPolicy,
  RequestAuthentication: requestAuthentication,
  Telemetry: telemetry,
} as const;

export type ConfigurationKind = keyof typeof configurationKinds;

/** The objects of each kind. */
export type ConfigurationObjects = {
  readonly [Kind in ConfigurationKind]: ConfigObject<Static<(typeof configurationKinds)[Kind]["spec"]>>;
};

/** A definition whichever kind it is of; its check may be called for an object of that kind that fits the schema. */
export type AnyKindDefinition = Omit<KindDefinition, "check"> & {
  readonly check: (object: ConfigObject<never>) => readonly Finding[];
};

export const configurationKindNames = Object.keys(configurationKinds) as readonly ConfigurationKind[];

export const isConfigurationKind = (kind: unknown): kind is ConfigurationKind =>
  typeof kind === "string" && Object.hasOwn(configurationKinds, kind);

export const definitionOf = (kind: ConfigurationKind): AnyKindDefinition => configurationKinds[kind];

/** Groups of the configuration API with the plural names of their kinds, as access rules and webhooks name them. */
export const configurationGroups: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries(Object.groupBy(Object.values(configurationKinds), ({ group }) => group)).map(([group, kinds = []]) => [
    group,
    kinds.map(({ plural }) => plural).sort(),
  ]),
);
