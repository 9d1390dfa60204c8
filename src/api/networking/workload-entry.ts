import { type Static, Type } from "typebox";
import { error, errorIf, member, show, warning } from "../findings.js";
import { type ConfigObject, defineKind, type Finding } from "../kind.js";
import { checkLabels, domainFault, isIpAddress, portFault, portNameFault, unixPathFault } from "../names.js";
import { networkingGroup, networkingVersions } from "./group.js";

export const unixRule = {
  rule: "!has(self.address) || !self.address.startsWith('unix://') || !has(self.ports)",
  message: "a Unix domain socket has no ports; remove ports",
};
export const addressRule = {
  rule: "has(self.address) || has(self.network)",
  message: "address is missing; give an IP address, a DNS name or unix:///path",
};

/** Also the template of a WorkloadGroup, which has no address. */
export const WorkloadEntryTemplate = Type.Object(
  {
    address: Type.Optional(
      Type.String({
        maxLength: 256,
        description:
          "IP address, or a DNS name where the ServiceEntry resolves by DNS, or unix:///path of a socket; without port.",
        "x-kubernetes-validations": [
          {
            rule: "!self.startsWith('unix://') || self.substring(7, 8) == '/' || self.substring(7, 8) == '@'",
            message:
              "the path of a Unix domain socket is absolute; write unix:///path, or unix://@name for an abstract one",
          },
          {
            rule: "!self.startsWith('unix://') || !self.endsWith('/')",
            message: "unix:// needs the path of a socket, not of a directory",
          },
        ],
      }),
    ),
    ports: Type.Optional(
      Type.Record(Type.String(), Type.Integer({ minimum: 1, maximum: 65535 }), {
        maxProperties: 128,
        description: "The workload's port for each port of the service, by the service port's name.",
        "x-kubernetes-validations": [
          {
            rule: "self.all(key, size(key) < 64 && key.matches('^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$'))",
            message: "a port's name has at most 63 letters, digits and dashes",
          },
        ],
      }),
    ),
    labels: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        maxProperties: 256,
        description: "Labels that services and subsets select the workload by; those of metadata win.",
      }),
    ),
    network: Type.Optional(
      Type.String({
        maxLength: 2048,
        description: "Name of the network that the address is in; workloads of other networks reach it by a gateway.",
      }),
    ),
    locality: Type.Optional(
      Type.String({
        maxLength: 2048,
        description: "Where the workload runs: region, region/zone or region/zone/subzone.",
      }),
    ),
    weight: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 4294967295,
        description: "Share of the load relative to the other workloads of its locality; 1 if unset.",
      }),
    ),
    serviceAccount: Type.Optional(
      Type.String({
        maxLength: 253,
        description: "Service account that the workload's sidecar proves; unset means that it has no sidecar.",
      }),
    ),
  },
  { additionalProperties: false, "x-kubernetes-validations": [unixRule] },
);
export type WorkloadEntrySpec = Static<typeof WorkloadEntryTemplate>;

/** As a WorkloadEntry's spec and as an endpoint of a ServiceEntry: there must be an address. */
export const WorkloadEntrySchema = Type.Object(WorkloadEntryTemplate.properties, {
  additionalProperties: false,
  "x-kubernetes-validations": [addressRule, unixRule],
});

export type WorkloadEntry = ConfigObject<WorkloadEntrySpec>;

const addressFault = (address: string, allowsNames: boolean): string | undefined => {
  if (address.startsWith("unix://")) return unixPathFault(address.slice("unix://".length));
  if (isIpAddress(address)) return undefined;
  if (!allowsNames) return `${show(address)} is no IP address; give one, or set resolution to DNS`;
  return domainFault(address) === undefined
    ? undefined
    : `${show(address)} is neither an IP address nor a DNS name nor unix:///path; correct it`;
};

const localityFault = (locality: string): string | undefined =>
  locality.split("/").length <= 3 && !locality.startsWith("/") && !locality.includes("//")
    ? undefined
    : `${show(locality)} is no locality; write region, region/zone or region/zone/subzone`;

/** What the schema cannot say of a workload at `path`. `allowsNames` unless it must have an IP address. */
export const checkWorkload = (path: string, workload: WorkloadEntrySpec, allowsNames: boolean): readonly Finding[] => {
  const { address = "", ports = {}, labels, locality, weight } = workload;
  const isSocket = address.startsWith("unix://");
  const names = Object.keys(ports);
  return [
    ...(address === "" ? [] : errorIf(`${path}.address`, addressFault(address, allowsNames))),
    ...(isSocket && names.length > 0
      ? [error(`${path}.ports`, `${show(ports)}: a Unix domain socket has no ports; remove them`)]
      : []),
    ...names.flatMap((name) => [
      ...errorIf(member(`${path}.ports`, name), portNameFault(name)),
      ...errorIf(member(`${path}.ports`, name), portFault(ports[name]!)),
    ]),
    ...checkLabels(`${path}.labels`, labels),
    ...(locality === undefined || locality === "" ? [] : errorIf(`${path}.locality`, localityFault(locality))),
    ...(weight === 0 ? [warning(`${path}.weight`, "0 counts as 1; leave the workload out to send it nothing")] : []),
  ];
};

/** An address may only be absent where a network says by which gateway the workload is reached. */
export const checkAddress = (path: string, { address, network }: WorkloadEntrySpec): readonly Finding[] =>
  address === undefined || address === ""
    ? network === undefined || network === ""
      ? [error(`${path}.address`, "is missing; give an IP address, a DNS name or unix:///path")]
      : [
          warning(
            `${path}.address`,
            `is missing; the workload is only reached by a gateway of network ${show(network)}`,
          ),
        ]
    : [];

export const workloadEntry = defineKind({
  kind: "WorkloadEntry",
  group: networkingGroup,
  plural: "workloadentries",
  shortNames: ["we"],
  versions: networkingVersions,
  description:
    "One workload that is no pod, such as a virtual machine. Services and ServiceEntries select it by its labels, side by side with pods.",
  spec: WorkloadEntrySchema,
  rules: [],
  printerColumns: [
    {
      name: "Address",
      type: "string",
      jsonPath: ".spec.address",
      description: "Address of the workload, without port.",
    },
  ],
  check: ({ spec }) => [...checkAddress("spec", spec), ...checkWorkload("spec", spec, true)],
});
