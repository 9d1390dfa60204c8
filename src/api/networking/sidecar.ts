import { defineKind } from "../kind.js";
import { networkingGroup, networkingVersions } from "./group.js";
import { checkSidecar } from "./sidecar-check.js";
import { SidecarSchema } from "./sidecar-schema.js";

export type {
  Sidecar,
  SidecarEgressListener,
  SidecarIngressListener,
  SidecarPort,
  SidecarSpec,
} from "./sidecar-schema.js";

export const sidecar = defineKind({
  kind: "Sidecar",
  group: networkingGroup,
  plural: "sidecars",
  shortNames: [],
  versions: networkingVersions,
  description:
    "What the proxies of some workloads listen on and which hosts they can reach. One applies to a workload: the oldest that selects it, then the namespace's own, then that of the mesh's root namespace.",
  spec: SidecarSchema,
  rules: [],
  printerColumns: [],
  check: checkSidecar,
});
