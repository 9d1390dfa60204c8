import type { V1EnvVar, V1LocalObjectReference, V1Pod, V1ResourceRequirements } from "@kubernetes/client-node";
import type { Operation } from "fast-json-patch";
import type { SpireAgent } from "./spire.js";
import type { InjectionTemplate } from "./template.js";

/** What the pod's namespace says; labels and annotations as the API server holds them. */
export interface InjectionNamespace {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Defaults of the mesh that annotations and the pod's own `istio-proxy` container override. */
export interface InjectionValues {
  readonly proxyImage: string;
  readonly initImage: string;
  readonly imagePullPolicy?: "Always" | "IfNotPresent" | "Never";
  readonly imagePullSecrets?: readonly V1LocalObjectReference[];
  readonly resources?: V1ResourceRequirements;
  readonly initResources?: V1ResourceRequirements;
  readonly logLevel?: string;
  /** Further environment of every proxy. */
  readonly env?: readonly V1EnvVar[];
  /** `meshConfig.defaultConfig`, in the shape of Istio's ProxyConfig. */
  readonly defaultConfig?: unknown;
}

export interface InjectionCluster {
  /** Host name of the control plane, which is also the name in its certificate. */
  readonly controlPlaneHost: string;
  readonly controlPlanePort: number;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  readonly clusterId: string;
  /** Name of the network for multi-network meshes; empty for one network. */
  readonly network: string;
  /** The pods' IP families, the first one primary. */
  readonly ipFamilies: readonly ("IPv4" | "IPv6")[];
  /** Who gives proxies their certificates; the control plane if it is not there. */
  readonly spire?: SpireAgent | undefined;
}

/** The spec of a ProxyConfig resource, valid by its own schema. */
export interface ProxyConfigFields {
  readonly concurrency?: number;
  readonly environmentVariables?: Readonly<Record<string, string>>;
  readonly image?: { readonly imageType?: string };
}

/** `pod` is in JSON form as the API server sends it, and is not changed. */
export interface InjectionRequest {
  readonly pod: V1Pod;
  readonly namespace: InjectionNamespace;
  /** This control plane's revision; "default" for the only one. */
  readonly revision: string;
  /** Revision tags that point at this revision. */
  readonly tags?: readonly string[];
  readonly template: InjectionTemplate;
  readonly values: InjectionValues;
  readonly cluster: InjectionCluster;
  /**
   * ProxyConfig resources that concern the pod. The one that selects it wins over its annotation, and the annotation over
   * that of its namespace, which wins over that of the mesh.
   */
  readonly proxyConfigs?: {
    readonly workload?: ProxyConfigFields | undefined;
    readonly namespace?: ProxyConfigFields | undefined;
    readonly mesh?: ProxyConfigFields | undefined;
  };
}

export type InjectionResult =
  | {
      readonly kind: "patched";
      readonly pod: V1Pod;
      /** RFC 6902, from the request's pod to `pod`. */
      readonly patch: readonly Operation[];
      /** For the user, as admission warnings. */
      readonly warnings: readonly string[];
    }
  | {
      readonly kind: "skipped";
      readonly reason: string;
      /** Whether labels asked for a sidecar, so that the user is to be told that there is none. */
      readonly asked: boolean;
    }
  | { readonly kind: "refused"; readonly message: string };
