import type { DestinationRule, TrafficPolicy } from "../../api/networking/destination-rule.js";
import { type MtlsMode, modeOfPort, mtlsModesOf } from "../peer-authentication.js";
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

/** The workload's ports for these of a service, with what each takes. */
const modesOf = (
  index: AnalysisIndex,
  server: Workload,
  ports: readonly ServicePort[],
): readonly (readonly [port: number, mode: MtlsMode])[] => {
  const rules = { mesh: index.mesh, peerAuthentications: index.peerAuthentications() };
  const modes = mtlsModesOf(rules, server.namespace, server.labels);
  return ports.flatMap(({ targetPort }) => {
    const number =
      typeof targetPort === "number" ? targetPort : server.ports().find(({ name }) => name === targetPort)?.port;
    return number === undefined ? [] : [[number, modeOfPort(modes, number)] as const];
  });
};

/** Those with a sidecar that take only this on one of the ports, as `Deployment reviews (port 8080)`. */
const takers = (index: AnalysisIndex, { ports, servers }: PlacedTls, wanted: MtlsMode): readonly string[] =>
  servers.flatMap((server) => {
    if (!server.hasSidecar) return [];
    const own = modesOf(index, server, ports).flatMap(([port, mode]) => (mode === wanted ? [port] : []));
    return own.length === 0 ? [] : [`${server.kind} ${server.name} (port ${own.join(", ")})`];
  });

/** What workloads take by their PeerAuthentications, where the rule sends what they do not. */
const judgeModes = (index: AnalysisIndex, placed: PlacedTls): readonly CodedFinding[] => {
  const { path, mode } = placed;
  if (mode === "ISTIO_MUTUAL") {
    const disabled = takers(index, placed, "DISABLE");
    return disabled.length === 0
      ? []
      : [
          found(
            "HDL0209",
            path,
            `ISTIO_MUTUAL: ${enumerate(disabled)} takes plaintext alone by its PeerAuthentication, so connections fail; leave tls out, or set PERMISSIVE there`,
          ),
        ];
  }
  const strict = mode === "DISABLE" ? takers(index, placed, "STRICT") : [];
  return strict.length === 0
    ? []
    : [
        found(
          "HDL0208",
          path,
          `DISABLE: ${enumerate(strict)} takes mutual TLS alone by its PeerAuthentication, so connections are closed; remove tls, and mutual TLS is automatic`,
        ),
      ];
};

const judge = (
  index: AnalysisIndex,
  { path, mode, ports, servers }: PlacedTls,
  entry: MeshService,
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
  const byMode = judgeModes(index, { path, mode, ports, servers });
  if (byMode.length > 0) return byMode;
  if (!inMesh || !index.mesh.enableAutoMtls || plain.length === 0) return [];
  const isPlain = (server: Workload): boolean =>
    !server.hasSidecar || modesOf(index, server, plain).every(([, taken]) => taken === "DISABLE");
  // Where servers take plaintext alone, the rule says what is done anyway.
  if (mode === "DISABLE" && servers.every(isPlain)) return [];
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
  return placed.flatMap((tls) => judge(index, tls, entry));
};
