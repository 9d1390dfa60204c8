import { type Static, Type } from "typebox";
import { error, errorIf, show, warning } from "../findings.js";
import { type ConfigObject, defineKind, type Finding } from "../kind.js";
import { checkLabels, portFault } from "../names.js";
import { networkingGroup, networkingVersions } from "./group.js";
import { checkWorkload, unixRule, WorkloadEntryTemplate } from "./workload-entry.js";

const closed = { additionalProperties: false } as const;
const port = Type.Integer({ minimum: 1, maximum: 65535, description: "Port to ask." });
const seconds = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 2147483647, description }));
const texts = (description: string) =>
  Type.Optional(Type.Record(Type.String(), Type.String(), { maxProperties: 256, description }));

const HttpGet = Type.Object(
  {
    port,
    path: Type.Optional(Type.String({ description: "Path of the request; / if unset." })),
    host: Type.Optional(Type.String({ description: "Host to connect to; the workload's address if unset." })),
    scheme: Type.Optional(Type.Enum(["", "HTTP", "HTTPS"], { description: "HTTP (default) or HTTPS." })),
    httpHeaders: Type.Optional(
      Type.Array(
        Type.Object(
          {
            name: Type.Optional(Type.String({ pattern: "^[-_A-Za-z0-9]+$", description: "Name of the header." })),
            value: Type.Optional(Type.String({ description: "Value of the header." })),
          },
          closed,
        ),
        { maxItems: 256, description: "Headers of the request; a name may be there several times." },
      ),
    ),
  },
  { ...closed, description: "Healthy if a GET request is answered with a status from 200 to 399." },
);

const ReadinessProbe = Type.Object(
  {
    initialDelaySeconds: seconds("Seconds from the start to the first probe."),
    timeoutSeconds: seconds("Seconds an answer may take; 1 if unset."),
    periodSeconds: seconds("Seconds between two probes; 10 if unset."),
    successThreshold: seconds("Successes in a row that make an unhealthy workload healthy; 1 if unset."),
    failureThreshold: seconds("Failures in a row that make a healthy workload unhealthy; 3 if unset."),
    httpGet: Type.Optional(HttpGet),
    tcpSocket: Type.Optional(
      Type.Object(
        { port, host: Type.Optional(Type.String({ description: "Host to connect to; localhost if unset." })) },
        { ...closed, description: "Healthy if a connection opens." },
      ),
    ),
    exec: Type.Optional(
      Type.Object(
        {
          command: Type.Array(Type.String({ minLength: 1 }), {
            minItems: 1,
            maxItems: 1024,
            description: "Program and arguments, without a shell.",
          }),
        },
        { ...closed, description: "Healthy if a command ends with 0." },
      ),
    ),
    grpc: Type.Optional(
      Type.Object(
        {
          port: Type.Optional(port),
          service: Type.Optional(Type.String({ description: "Service named in the health request." })),
        },
        { ...closed, description: "Healthy if the gRPC health service says so." },
      ),
    ),
  },
  {
    ...closed,
    description: "How the workloads' health is found out, as a pod's readiness probe.",
    "x-kubernetes-validations": [
      {
        rule: "(has(self.httpGet) ? 1 : 0) + (has(self.tcpSocket) ? 1 : 0) + (has(self.exec) ? 1 : 0) + (has(self.grpc) ? 1 : 0) <= 1",
        message: "httpGet, tcpSocket, exec and grpc exclude each other; leave one",
      },
    ],
  },
);

const spec = Type.Object(
  {
    metadata: Type.Optional(
      Type.Object(
        {
          labels: texts("Labels of each WorkloadEntry."),
          annotations: texts("Annotations of each WorkloadEntry."),
        },
        { ...closed, description: "Metadata of each WorkloadEntry made from the group." },
      ),
    ),
    template: Type.Object(WorkloadEntryTemplate.properties, {
      ...closed,
      description: "Spec of each WorkloadEntry made from the group; its address is the workload's own.",
      "x-kubernetes-validations": [unixRule],
    }),
    probe: Type.Optional(ReadinessProbe),
  },
  closed,
);

export type WorkloadGroupSpec = Static<typeof spec>;
export type WorkloadGroup = ConfigObject<WorkloadGroupSpec>;

const methods = ["httpGet", "tcpSocket", "exec", "grpc"] as const;

const checkProbe = (probe: Static<typeof ReadinessProbe> | undefined): readonly Finding[] => {
  if (probe === undefined) return [];
  const given = methods.filter((method) => probe[method] !== undefined);
  const ports = { httpGet: probe.httpGet?.port, tcpSocket: probe.tcpSocket?.port, grpc: probe.grpc?.port };
  return [
    ...(given.length === 1
      ? []
      : [
          error(
            "spec.probe",
            given.length === 0
              ? `asks nothing; give one of ${methods.join(", ")}`
              : `${given.join(" and ")} exclude each other; leave one`,
          ),
        ]),
    ...Object.entries(ports).flatMap(([method, number]) =>
      number === undefined ? [] : errorIf(`spec.probe.${method}.port`, portFault(number)),
    ),
  ];
};

export const workloadGroup = defineKind({
  kind: "WorkloadGroup",
  group: networkingGroup,
  plural: "workloadgroups",
  shortNames: ["wg"],
  versions: networkingVersions,
  description: "What a set of like workloads outside Kubernetes has in common, as a Deployment says it of pods.",
  spec,
  rules: [],
  printerColumns: [],
  check: ({ spec: { metadata, template, probe } }) => [
    ...checkLabels("spec.metadata.labels", metadata?.labels),
    ...checkWorkload("spec.template", template, true),
    ...(template.address === undefined || template.address === ""
      ? []
      : [
          warning(
            "spec.template.address",
            `${show(template.address)} is not used: each workload has its own; remove it`,
          ),
        ]),
    ...(Object.keys(template.labels ?? {}).length === 0
      ? []
      : [warning("spec.template.labels", `${show(template.labels)}: put a group's labels under spec.metadata.labels`)]),
    ...checkProbe(probe),
  ],
});
