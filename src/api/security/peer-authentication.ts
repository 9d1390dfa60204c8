import { type Static, Type } from "typebox";
import { error, errorIf, member, show, warning } from "../findings.js";
import { type ConfigObject, defineKind, type Finding } from "../kind.js";
import { checkSelector, portFault } from "../names.js";
import { podSelector } from "../selector.js";
import { securityGroup, securityVersions } from "./group.js";

const closed = { additionalProperties: false } as const;

const mode = Type.Optional(
  Type.Enum(["UNSET", "DISABLE", "PERMISSIVE", "STRICT"], {
    description:
      "STRICT takes the mesh's mutual TLS alone, PERMISSIVE plaintext too, DISABLE plaintext alone; UNSET inherits.",
  }),
);

const spec = Type.Object(
  {
    selector: Type.Optional(
      podSelector(
        4096,
        "The pods of the namespace that this is for; all of them if unset, in the root namespace all of the mesh.",
      ),
    ),
    mtls: Type.Optional(
      Type.Object(
        { mode },
        { ...closed, description: "What the workload's ports take. Unset: as the namespace, then the mesh says." },
      ),
    ),
    portLevelMtls: Type.Optional(
      Type.Record(Type.String(), Type.Object({ mode }, { ...closed, description: "What this port takes." }), {
        minProperties: 1,
        maxProperties: 1024,
        description:
          "What single ports of the selected pods take, by number: the port of the container, not that of a Service.",
        "x-kubernetes-validations": [
          {
            rule: "self.all(port, 0 < int(port) && int(port) <= 65535)",
            message: "each key is the number of a port, from 1 to 65535",
          },
        ],
      }),
    ),
  },
  closed,
);

export type PeerAuthenticationSpec = Static<typeof spec>;
export type PeerAuthentication = ConfigObject<PeerAuthenticationSpec>;

const checkPorts = ({ selector, portLevelMtls }: PeerAuthenticationSpec): readonly Finding[] => {
  const ports = Object.keys(portLevelMtls ?? {});
  const isForSome = Object.keys(selector?.matchLabels ?? {}).length > 0;
  return [
    ...(portLevelMtls !== undefined && !isForSome
      ? [
          error(
            "spec.portLevelMtls",
            `${show(ports)}: ports are of selected workloads; name their labels in selector.matchLabels`,
          ),
        ]
      : []),
    ...ports.flatMap((port) =>
      errorIf(
        member("spec.portLevelMtls", port),
        /^[1-9]\d*$/.test(port)
          ? portFault(Number(port))
          : `${show(port)} is no port number; write one from 1 to 65535, as the container listens on it`,
      ),
    ),
  ];
};

const isSet = (mtls: PeerAuthenticationSpec["mtls"]): boolean => mtls?.mode !== undefined && mtls.mode !== "UNSET";

export const peerAuthentication = defineKind({
  kind: "PeerAuthentication",
  group: securityGroup,
  plural: "peerauthentications",
  shortNames: ["pa"],
  versions: securityVersions,
  description:
    "Whether workloads take the mesh's mutual TLS, plaintext or both. Of mesh, namespace, workload and port the narrowest that sets a mode decides; without any, both.",
  spec,
  rules: [
    {
      rule: "!has(self.portLevelMtls) || (has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)",
      message: "portLevelMtls goes with a selector that names labels",
    },
  ],
  printerColumns: [
    {
      name: "Mode",
      type: "string",
      jsonPath: ".spec.mtls.mode",
      description: "What the workloads take where no port says otherwise",
    },
    { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp", description: "Time since it was created" },
  ],
  check: ({ spec: own }) => [
    ...checkSelector("spec.selector", own.selector, "matchLabels"),
    ...checkPorts(own),
    ...(isSet(own.mtls) || Object.values(own.portLevelMtls ?? {}).some(isSet)
      ? []
      : [warning("spec", "sets no mode, so that of the namespace or the mesh stays in force; give mtls.mode")]),
  ],
});
