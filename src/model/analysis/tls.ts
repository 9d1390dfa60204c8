import type { DestinationRule, TrafficPolicy } from "../../api/networking/destination-rule.js";
import { selectsOrAll } from "../selector.js";
import type { MeshService, ServicePort } from "../service.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { selectedBy, type Workload } from "./workloads.js";

interface PlacedTls {
  readonly path: string;
  readonly mode: string;
  readonly ports: readonly ServicePort[];
  readonly servers: readonly Workload[];
}

const serversOf = (index: AnalysisIndex, { namespace, selector }: MeshService): readonly Workload[] =>
  Object.keys(selector).length === 0 ? [] : selectedBy(index.workloads(), namespace, selector);

const ofPolicy = (
  policy: TrafficPolicy | undefined,
  path: string,
  entry: MeshService,
  servers: readonly Workload[],
): readonly PlacedTls[] => {
  const ownPorts = new Set((policy?.portLevelSettings ?? []).map(({ port }) => port?.number));
  const rest = entry.ports.filter(({ port }) => !ownPorts.has(port));
  return [
    ...(policy?.tls === undefined
      ? []
      : [{ path: `${path}.tls.mode`, mode: policy.tls.mode ?? "DISABLE", ports: rest, servers }]),
    ...(policy?.portLevelSettings ?? []).flatMap(({ port, tls }, index) =>
      tls === undefined
        ? []
        : [
            {
              path: `${path}.portLevelSettings[${index}].tls.mode`,
              mode: tls.mode ?? "DISABLE",
              ports: entry.ports.filter((own) => own.port === port?.number),
              servers,
            },
          ],
    ),
  ];
};

const judge = (
  { path, mode, ports, servers }: PlacedTls,
  entry: MeshService,
  isAutomatic: boolean,
): readonly CodedFinding[] => {
  const without = servers.filter(({ hasSidecar }) => !hasSidecar);
  const inMesh = servers.some(({ hasSidecar }) => hasSidecar);
  const plain = ports.filter(({ isTls }) => !isTls);
  if (mode === "ISTIO_MUTUAL" && entry.isExternal)
    return [
      found(
        "HDL0205",
        path,
        `ISTIO_MUTUAL: ${entry.host} is outside the mesh and has none of its certificates; use SIMPLE or MUTUAL`,
      ),
    ];
  if (mode === "ISTIO_MUTUAL" && without.length > 0)
    return [
      found(
        "HDL0205",
        path,
        `ISTIO_MUTUAL: ${enumerate(without.map(({ kind, name }) => `${kind} ${name}`))} of ${entry.host} without a sidecar cannot answer it; leave tls out, and the mesh chooses by endpoint`,
      ),
    ];
  if (!inMesh || !isAutomatic || plain.length === 0) return [];
  if (mode === "DISABLE")
    return [
      found(
        "HDL0206",
        path,
        `DISABLE: ${entry.host} is in the mesh, and its traffic goes in plaintext; remove tls, and mutual TLS is automatic`,
      ),
    ];
  return mode === "SIMPLE" || mode === "MUTUAL"
    ? [
        found(
          "HDL0207",
          path,
          `${mode}: port ${enumerate(plain.map(({ port }) => `${port}`))} of ${entry.host} is in the mesh and not declared as TLS, so the application gets TLS that it does not expect; remove tls, and mutual TLS is automatic`,
        ),
      ]
    : [];
};

/** TLS modes against what the servers can do and the mesh does by itself. */
export const checkTls = (
  index: AnalysisIndex,
  { spec }: DestinationRule,
  entry: MeshService,
): readonly CodedFinding[] => {
  const policies = [spec.trafficPolicy, ...(spec.subsets ?? []).map(({ trafficPolicy }) => trafficPolicy)];
  if (policies.every((policy) => policy?.tls === undefined && policy?.portLevelSettings === undefined)) return [];
  const servers = serversOf(index, entry);
  const placed = [
    ...ofPolicy(spec.trafficPolicy, "spec.trafficPolicy", entry, servers),
    ...(spec.subsets ?? []).flatMap(({ labels, trafficPolicy }, position) =>
      ofPolicy(
        trafficPolicy,
        `spec.subsets[${position}].trafficPolicy`,
        entry,
        servers.filter((server) => selectsOrAll(labels, server.labels)),
      ),
    ),
  ];
  return placed.flatMap((tls) => judge(tls, entry, index.mesh.enableAutoMtls));
};
