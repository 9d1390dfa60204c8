import { defineKind } from "../kind.js";
import { networkingGroup, networkingVersions } from "./group.js";
import { checkServiceEntry } from "./service-entry-check.js";
import { ServiceEntrySchema } from "./service-entry-schema.js";

export type { ServiceEntry, ServiceEntryPort, ServiceEntrySpec } from "./service-entry-schema.js";

export const serviceEntry = defineKind({
  kind: "ServiceEntry",
  group: networkingGroup,
  plural: "serviceentries",
  shortNames: ["se"],
  versions: networkingVersions,
  description:
    "Makes hosts known to the mesh that Kubernetes has no Service for: APIs outside the cluster, virtual machines, other clusters.",
  spec: ServiceEntrySchema,
  rules: [
    {
      rule: "!has(self.workloadSelector) || !has(self.endpoints)",
      message: "workloadSelector and endpoints exclude each other; remove one of them",
    },
    {
      rule: "!has(self.addresses) || !self.addresses.exists(address, address.contains('/')) || (has(self.resolution) ? self.resolution : 'NONE') in ['NONE', 'STATIC']",
      message: "addresses may only be CIDR ranges if resolution is NONE or STATIC",
    },
    {
      rule: "(has(self.resolution) ? self.resolution : 'NONE') != 'NONE' || !has(self.endpoints)",
      message: "resolution NONE uses no endpoints; set resolution to STATIC or DNS, or remove endpoints",
    },
    {
      rule: "!has(self.resolution) || self.resolution != 'DNS_ROUND_ROBIN' || !has(self.endpoints) || self.endpoints.size() <= 1",
      message: "resolution DNS_ROUND_ROBIN uses one endpoint only; remove the others, or set resolution to DNS",
    },
  ],
  printerColumns: [
    { name: "Hosts", type: "string", jsonPath: ".spec.hosts", description: "Hosts of the service." },
    { name: "Location", type: "string", jsonPath: ".spec.location", description: "Part of the mesh or outside it." },
    { name: "Resolution", type: "string", jsonPath: ".spec.resolution", description: "How endpoints are found." },
  ],
  check: checkServiceEntry,
});
