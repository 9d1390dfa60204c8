import type { EndpointSlice, Service } from "../api/kubernetes.js";
import type { MeshConfig } from "../api/meshconfig.js";
import { exportTargets } from "./hosts.js";
import { isTlsPort, protocolOf } from "./protocol.js";
import type { MeshService, PersistentSession, TrafficDistribution } from "./service.js";
import { keyOf } from "./snapshot.js";

const isAddress = (value: string): boolean => value !== "" && value !== "None";

const distributions: ReadonlySet<string> = new Set(["PreferClose", "PreferSameZone", "PreferSameNode"]);

/** `spec.trafficDistribution`, else Istio's annotation; a Service of `internalTrafficPolicy: Local` stays on the node. */
const distributionOf = ({ metadata, spec }: Service): TrafficDistribution | undefined => {
  if (spec?.internalTrafficPolicy === "Local") return "PreferSameNode";
  const said = spec?.trafficDistribution ?? metadata?.annotations?.["networking.istio.io/traffic-distribution"] ?? "";
  return distributions.has(said) ? (said as TrafficDistribution) : undefined;
};

/** Istio's labels: `istio.io/persistent-session: name[:path]`, or `istio.io/persistent-session-header: name`. */
const sessionOf = ({ metadata }: Service): PersistentSession | undefined => {
  const header = metadata?.labels?.["istio.io/persistent-session-header"];
  if (header !== undefined && header !== "") return { by: "header", name: header };
  const [name = "", path = "/"] = (metadata?.labels?.["istio.io/persistent-session"] ?? "").split(":");
  return name === "" ? undefined : { by: "cookie", name, path };
};

const exportAnnotation = "networking.istio.io/exportTo";

export const meshServiceOf = (service: Service, mesh: MeshConfig): MeshService => {
  const { metadata, spec } = service;
  const namespace = metadata?.namespace ?? "default";
  const name = metadata?.name ?? "";
  const addresses = (spec?.clusterIPs ?? (spec?.clusterIP === undefined ? [] : [spec.clusterIP])).filter(isAddress);
  const externalName = spec?.type === "ExternalName" ? spec.externalName?.toLowerCase().replace(/\.$/, "") : undefined;
  const isHeadless = externalName === undefined && addresses.length === 0;
  const exportTo = metadata?.annotations?.[exportAnnotation]?.split(",").map((target) => target.trim());
  return {
    key: keyOf(namespace, name),
    origin: "Service",
    namespace,
    name,
    host: `${name}.${namespace}.svc.${mesh.clusterDomain}`,
    addresses,
    ports: (spec?.ports ?? [])
      .filter(({ protocol }) => protocol === undefined || protocol === "TCP")
      .map((port) => ({
        name: port.name ?? "",
        port: port.port,
        protocol: protocolOf(port),
        targetPort: (port.targetPort as number | string | undefined) ?? port.port,
        isTls: isTlsPort(port),
      })),
    selector: spec?.selector ?? {},
    resolution: isHeadless ? "original-destination" : "eds",
    isHeadless,
    externalName,
    clientAffinity: spec?.sessionAffinity === "ClientIP",
    isExternal: false,
    subjectAltNames: [],
    trafficDistribution: distributionOf(service),
    persistentSession: sessionOf(service),
    exportTo: exportTargets(
      exportTo?.filter((target) => target !== ""),
      namespace,
      mesh.defaultServiceExportTo,
    ),
    createdAt: (metadata?.creationTimestamp as string | undefined) ?? "",
  };
};

/** Key of the service that a slice belongs to. */
export const serviceOfSlice = (slice: EndpointSlice | undefined): string | undefined => {
  const name = slice?.metadata?.labels?.["kubernetes.io/service-name"];
  return name === undefined ? undefined : keyOf(slice?.metadata?.namespace ?? "default", name);
};

/** Keys of the pods that a slice names. */
export const podsOfSlice = (slice: EndpointSlice | undefined): ReadonlySet<string> =>
  new Set(
    (slice?.endpoints ?? []).flatMap(({ targetRef }) =>
      targetRef?.kind === "Pod" ? [keyOf(slice?.metadata?.namespace ?? "", targetRef.name ?? "")] : [],
    ),
  );
