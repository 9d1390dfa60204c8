import { show } from "../../api/findings.js";
import type { Destination, VirtualService } from "../../api/networking/virtual-service.js";
import { byAge } from "../age.js";
import { qualifiedHost } from "../host.js";
import { exportTargets } from "../hosts.js";
import type { MeshService } from "../service.js";
import { lookup, subsetsOf } from "./destination-rules.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import { anyUnder, definitionsOf, seenFrom } from "./hosts.js";
import { type AnalysisIndex, isForSidecars } from "./index.js";
import { keyOf, namespaceOf, overlap } from "./named.js";
import { resolveHost } from "./reference.js";

interface PlacedDestination {
  readonly destination: Destination;
  readonly path: string;
}

const destinationsOf = ({ spec }: VirtualService): readonly PlacedDestination[] => {
  const routed = (["http", "tls", "tcp"] as const).flatMap((kind) =>
    (spec[kind] ?? []).flatMap(({ route }, rule) =>
      (route ?? []).map(({ destination }, index) => ({
        destination,
        path: `spec.${kind}[${rule}].route[${index}].destination`,
      })),
    ),
  );
  const mirrored = (spec.http ?? []).flatMap(({ mirror, mirrors }, rule) => [
    ...(mirror === undefined ? [] : [{ destination: mirror, path: `spec.http[${rule}].mirror` }]),
    ...(mirrors ?? []).map(({ destination }, index) => ({
      destination,
      path: `spec.http[${rule}].mirrors[${index}].destination`,
    })),
  ]);
  return [...routed, ...mirrored];
};

const checkSubset = (
  index: AnalysisIndex,
  namespace: string,
  subset: string,
  entry: MeshService,
  path: string,
): readonly CodedFinding[] => {
  const [holds, ...hidden] = lookup(index, namespace, entry.host, entry.namespace);
  if (holds === undefined)
    return [
      found("HDL0103", path, `${show(subset)}: ${entry.host} has no DestinationRule; add one that defines the subset`),
    ];
  if (subsetsOf(holds).includes(subset)) return [];
  const where = `DestinationRule ${enumerate(holds.rules.map(keyOf))}`;
  const elsewhere = hidden.find((group) => subsetsOf(group).includes(subset));
  return [
    found(
      "HDL0103",
      path,
      elsewhere === undefined
        ? `${show(subset)}: ${where} defines ${enumerate(subsetsOf(holds)) || "no subset"}; add it there or correct the name`
        : `${show(subset)}: DestinationRule ${enumerate(elsewhere.rules.map(keyOf))} defines it, but ${where} comes first for this host and hides it; add it there`,
    ),
  ];
};

const checkDestination = (
  index: AnalysisIndex,
  namespace: string,
  { destination, path }: PlacedDestination,
): readonly CodedFinding[] => {
  const { entry, findings } = resolveHost(index, destination.host, namespace, `${path}.host`);
  if (entry === undefined) return findings;
  const port = destination.port?.number;
  const ports = entry.ports.map((known) => known.port);
  return [
    ...(port === undefined || port === 0 || ports.length === 0 || ports.includes(port)
      ? []
      : [
          found(
            "HDL0104",
            `${path}.port.number`,
            `${port}: ${entry.host} has the ports ${enumerate(ports.map(String))}; name one of them, or leave the port out`,
          ),
        ]),
    ...(destination.subset === undefined || destination.subset === ""
      ? []
      : checkSubset(index, namespace, destination.subset, entry, `${path}.subset`)),
  ];
};

/** The narrower its audience, the earlier a rule is consulted. */
const rankOf = (exportTo: ReadonlySet<string>, namespace: string): number => {
  if (exportTo.has("*")) return 2;
  return exportTo.size === 1 && exportTo.has(namespace) ? 0 : 1;
};

const audienceOf = (index: AnalysisIndex, object: VirtualService): ReadonlySet<string> =>
  exportTargets(object.spec.exportTo, namespaceOf(object), index.mesh.defaultVirtualServiceExportTo);

const checkOwners = (index: AnalysisIndex, object: VirtualService): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  const key = keyOf(object);
  const exportTo = audienceOf(index, object);
  const own = rankOf(exportTo, namespace);
  return (object.spec.hosts ?? []).flatMap((host, position) => {
    const full = qualifiedHost(host, namespace, index.mesh.clusterDomain);
    const winner = index
      .virtualServicesByHost()
      .get(full)
      ?.find((other) => {
        if (keyOf(other) === key) return false;
        const otherNamespace = namespaceOf(other);
        const otherExport = audienceOf(index, other);
        if (!overlap(exportTo, otherExport)) return false;
        const rank = rankOf(otherExport, otherNamespace);
        return rank < own || (rank === own && byAge(other, object) < 0);
      });
    if (winner === undefined) return [];
    const winnerExport = audienceOf(index, winner);
    const whose = winnerExport.has("*") ? "" : ` for clients in ${enumerate(winnerExport)}`;
    const why = rankOf(winnerExport, namespaceOf(winner)) < own ? "exported more narrowly" : "older, or first by name";
    return [
      found(
        "HDL0110",
        `spec.hosts[${position}]`,
        `${show(host)}: VirtualService ${keyOf(winner)} owns ${full}${whose} (${why}), and this one has no effect there; merge the two, or delegate from one`,
      ),
    ];
  });
};

/** What a host of the rule stands for in the mesh; a wildcard for nothing in particular. */
const servicesOf = (index: AnalysisIndex, object: VirtualService): readonly MeshService[] => {
  const namespace = namespaceOf(object);
  return (object.spec.hosts ?? []).flatMap((host) => {
    const entries = definitionsOf(index.hosts(), qualifiedHost(host, namespace, index.mesh.clusterDomain));
    return seenFrom(entries, namespace) ?? [];
  });
};

const checkHosts = (index: AnalysisIndex, object: VirtualService): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  // With a gateway beside `mesh`, its public names are no hosts of the mesh.
  const hasGateway = (object.spec.gateways ?? []).some((gateway) => gateway !== "mesh");
  return (object.spec.hosts ?? []).flatMap((host, position) => {
    const path = `spec.hosts[${position}]`;
    const full = qualifiedHost(host, namespace, index.mesh.clusterDomain);
    if (hasGateway || full === "*" || /^[\d.]+$|:/.test(full)) return [];
    if (!full.startsWith("*")) return resolveHost(index, host, namespace, path, "HDL0106").findings;
    return anyUnder(index.hosts(), full)
      ? []
      : [found("HDL0106", path, `${show(host)}: no host of the mesh is under it; correct it, or add a ServiceEntry`)];
  });
};

const protocolsOf = (entry: MeshService): ReadonlySet<"http" | "tls" | "tcp"> =>
  new Set(
    entry.ports.flatMap(({ protocol, isTls }) => {
      if (isTls) return ["tls" as const];
      if (protocol === "auto") return ["http" as const, "tcp" as const];
      return [protocol === "tcp" ? ("tcp" as const) : ("http" as const)];
    }),
  );

const checkProtocols = (index: AnalysisIndex, object: VirtualService): readonly CodedFinding[] => {
  const services = servicesOf(index, object).filter(({ ports }) => ports.length > 0);
  if (services.length === 0 || services.length < (object.spec.hosts ?? []).length) return [];
  const has = new Set(services.flatMap((entry) => [...protocolsOf(entry)]));
  const ports = services.flatMap((entry) =>
    entry.ports.map(({ name, port }) => (name === "" ? `${port}` : `${name} ${port}`)),
  );
  return (["http", "tls", "tcp"] as const).flatMap((kind) =>
    (object.spec[kind] ?? []).length === 0 || has.has(kind)
      ? []
      : [
          found(
            "HDL0114",
            `spec.${kind}`,
            `has no effect: no port of the service is ${kind === "tcp" ? "plain TCP" : kind.toUpperCase()} (${enumerate(ports)}); declare the port's protocol by its name or appProtocol, or write a rule for what it is`,
          ),
        ],
  );
};

const checkMatchPorts = (index: AnalysisIndex, object: VirtualService): readonly CodedFinding[] => {
  const services = servicesOf(index, object);
  if (services.length === 0 || services.length < (object.spec.hosts ?? []).length) return [];
  const ports = new Set(services.flatMap((entry) => entry.ports.map(({ port }) => port)));
  if (ports.size === 0) return [];
  return (["http", "tls", "tcp"] as const).flatMap((kind) =>
    (object.spec[kind] ?? []).flatMap(({ match }, rule) =>
      (match ?? []).flatMap(({ port, gateways }, position) => {
        const isOfMesh = gateways === undefined || gateways.length === 0 || gateways.includes("mesh");
        return !port || ports.has(port) || !isOfMesh
          ? []
          : [
              found(
                "HDL0107",
                `spec.${kind}[${rule}].match[${position}].port`,
                `${port}: the service has the ports ${enumerate([...ports].map(String))}; name one of them (the service's, not the container's)`,
              ),
            ];
      }),
    ),
  );
};

const checkGateways = (index: AnalysisIndex, object: VirtualService): readonly CodedFinding[] => {
  const known = index.objects.gateways;
  if (known === undefined) return [];
  return (object.spec.gateways ?? []).flatMap((gateway, position) => {
    const key = gateway.includes("/") ? gateway : `${namespaceOf(object)}/${gateway}`;
    return gateway === "mesh" || known.has(key)
      ? []
      : [
          found(
            "HDL0115",
            `spec.gateways[${position}]`,
            `${show(gateway)}: there is no Gateway ${key}; correct it, or create the Gateway`,
          ),
        ];
  });
};

const checkWeights = ({ spec }: VirtualService): readonly CodedFinding[] =>
  (["http", "tls", "tcp"] as const).flatMap((kind) =>
    (spec[kind] ?? []).flatMap(({ route }, rule) => {
      const weights = (route ?? []).map(({ weight }) => weight ?? 0);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return weights.length < 2 || total === 100
        ? []
        : [
            found(
              "HDL0113",
              `spec.${kind}[${rule}].route`,
              `the weights ${enumerate(weights.map(String))} add to ${total}, not to 100, so they are no percentages; make them add to 100`,
            ),
          ];
    }),
  );

/** Checks of a VirtualService with hosts or without, but not of its delegates. */
export const checkVirtualServiceReferences = (
  index: AnalysisIndex,
  object: VirtualService,
): readonly CodedFinding[] => {
  const namespace = namespaceOf(object);
  return [
    ...destinationsOf(object).flatMap((placed) => checkDestination(index, namespace, placed)),
    ...checkWeights(object),
    ...checkGateways(index, object),
    ...(isForSidecars(object)
      ? [
          ...checkHosts(index, object),
          ...checkOwners(index, object),
          ...checkProtocols(index, object),
          ...checkMatchPorts(index, object),
        ]
      : []),
  ];
};
