import { show } from "../../api/findings.js";
import type { Service } from "../../api/kubernetes.js";
import { byAge } from "../age.js";
import { protocolOf } from "../protocol.js";
import { selectsOrAll } from "../selector.js";
import { type CodedFinding, found } from "./finding.js";
import type { AnalysisIndex } from "./index.js";
import { keyOf, namespaceOf } from "./named.js";
import { checkExportTo } from "./scope.js";
import { selectedBy, type Workload } from "./workloads.js";

type ServicePort = NonNullable<NonNullable<Service["spec"]>["ports"]>[number];

const isTcp = ({ protocol }: ServicePort): boolean => protocol === undefined || protocol === "TCP";
const isOfKubernetes = (namespace: string): boolean => namespace.startsWith("kube-");

const declaredByName = (port: ServicePort) => protocolOf({ name: port.name, port: 0 });
const declaredByApplication = (port: ServicePort) => protocolOf({ appProtocol: port.appProtocol, port: 0 });

const checkPorts = (service: Service): readonly CodedFinding[] =>
  (service.spec?.ports ?? []).flatMap((port, index) => {
    const path = `spec.ports[${index}]`;
    const name = declaredByName(port);
    if (!isTcp(port))
      return name === "auto" || name === undefined
        ? []
        : [
            found(
              "HDL0502",
              `${path}.name`,
              `${show(port.name)} says a protocol over TCP, and the port is ${port.protocol}, which the mesh leaves alone; rename it`,
            ),
          ];
    const application = declaredByApplication(port);
    if (name !== "auto" && application !== "auto" && name !== application)
      return [
        found(
          "HDL0502",
          `${path}.appProtocol`,
          `${show(port.appProtocol)} is ${application}, and the name ${show(port.name)} says ${name}; appProtocol is taken: make them agree`,
        ),
      ];
    return protocolOf(port) === "auto"
      ? [
          found(
            "HDL0501",
            `${path}.name`,
            `port ${port.port}${port.name === undefined ? "" : ` (${show(port.name)})`} declares no protocol, so each connection waits for its first bytes; name it such as http-web, or set appProtocol`,
          ),
        ]
      : [];
  });

const numberOf = (port: ServicePort, workload: Workload): number | undefined => {
  const target = (port.targetPort as number | string | undefined) ?? port.port;
  return typeof target === "number" ? target : workload.ports().find(({ name }) => name === target)?.port;
};

const rivalsOf = (index: AnalysisIndex, service: Service, workload: Workload): readonly Service[] => {
  const bySelector = index.servicesBySelector().get(namespaceOf(service));
  return Object.entries(workload.labels).flatMap(([key, value]) =>
    (bySelector?.get(`${key}=${value}`) ?? []).filter(
      (other) => byAge(other, service) < 0 && selectsOrAll(other.spec?.selector, workload.labels),
    ),
  );
};

/** Pods of one template differ in nothing that matters here. */
const distinct = (workloads: readonly Workload[]): readonly Workload[] => {
  const seen = new Map<string, Workload>();
  for (const workload of workloads) {
    const { "pod-template-hash": _, ...labels } = workload.labels;
    seen.set(JSON.stringify([labels, workload.ports()]), workload);
  }
  return [...seen.values()];
};

const checkSharedPods = (index: AnalysisIndex, service: Service): readonly CodedFinding[] => {
  const selector = service.spec?.selector ?? {};
  if (Object.keys(selector).length === 0) return [];
  const told = new Set<string>();
  return distinct(selectedBy(index.workloads(), namespaceOf(service), selector)).flatMap((workload) =>
    rivalsOf(index, service, workload).flatMap((rival) =>
      (service.spec?.ports ?? []).flatMap((port, position) => {
        const number = numberOf(port, workload);
        const other = (rival.spec?.ports ?? []).find(
          (theirs) => isTcp(theirs) && numberOf(theirs, workload) === number,
        );
        const key = `${keyOf(rival)} ${number}`;
        if (!isTcp(port) || number === undefined || other === undefined || told.has(key)) return [];
        const [own, theirs] = [protocolOf(port), protocolOf(other)];
        if (own === theirs) return [];
        told.add(key);
        return [
          found(
            "HDL0503",
            `spec.ports[${position}]`,
            `port ${number} of ${workload.kind} ${workload.name} is ${own} here and ${theirs} in Service ${keyOf(rival)}; declare one protocol in both`,
          ),
        ];
      }),
    ),
  );
};

export const checkService = (index: AnalysisIndex, service: Service): readonly CodedFinding[] => {
  if (isOfKubernetes(namespaceOf(service)) || service.spec?.type === "ExternalName") return [];
  const exportTo = service.metadata?.annotations?.["networking.istio.io/exportTo"];
  return [
    ...checkPorts(service),
    ...checkSharedPods(index, service),
    ...checkExportTo(
      index,
      exportTo?.split(",").map((target) => target.trim()),
      "metadata.annotations.networking.istio.io/exportTo",
    ).map(({ code, finding }) => ({
      code,
      finding: { ...finding, path: finding.path.replace(/\[\d+\]$/, "") },
    })),
  ];
};

export const checkWorkload = (workload: Workload): readonly CodedFinding[] =>
  workload.isRunning && workload.asksForSidecar && !workload.hasSidecar
    ? [
        found(
          "HDL0504",
          "spec.containers",
          `there is no istio-proxy, though namespace ${workload.namespace} asks for sidecars; restart the pod, or set its label sidecar.istio.io/inject: "false"`,
        ),
      ]
    : [];
