import { show } from "../../api/findings.js";
import { qualifiedHost } from "../host.js";
import type { MeshService } from "../service.js";
import { type CodedFinding, enumerate, found } from "./finding.js";
import { completionOf, definitionsOf, resourceOf, seenFrom } from "./hosts.js";
import type { AnalysisIndex } from "./index.js";

export interface Reference {
  /** As a client of the namespace sees it. */
  readonly entry: MeshService | undefined;
  /** What to tell of a reference that finds nothing. */
  readonly findings: readonly CodedFinding[];
}

const unknown = "HDL0101";

/** The host that a resource of a namespace names. */
export const resolveHost = (
  index: AnalysisIndex,
  host: string,
  namespace: string,
  path: string,
  code: "HDL0101" | "HDL0106" | "HDL0201" = unknown,
): Reference => {
  const { clusterDomain } = index.mesh;
  const hosts = index.hosts();
  const full = qualifiedHost(host, namespace, clusterDomain);
  const entries = definitionsOf(hosts, full);
  const entry = seenFrom(entries, namespace);
  if (entry !== undefined) return { entry, findings: [] };
  const [hidden] = entries;
  const tell = (as: Parameters<typeof found>[0], message: string): Reference => ({
    entry: undefined,
    findings: [found(as, path, message)],
  });
  if (hidden !== undefined)
    return tell(
      "HDL0105",
      `${show(host)}: ${resourceOf(hidden)} is not exported to namespace ${namespace}, only to ${enumerate(hidden.exportTo) || "none"}; add it to exportTo there`,
    );
  const completed = completionOf(hosts, full, clusterDomain);
  if (completed !== undefined)
    return tell("HDL0102", `${show(host)}: a name with a dot is not completed, so this is no host; write ${completed}`);
  const twins = (hosts.byLabel.get(full.split(".", 1)[0] ?? "") ?? []).map((twin) => twin.host);
  const completion = full === host.toLowerCase() ? "" : ` (${full})`;
  const cure =
    twins.length > 0
      ? `there is ${enumerate(new Set(twins))}: write its full name`
      : "correct the name, or add the Service or ServiceEntry";
  return tell(code, `${show(host)}${completion}: no Service and no ServiceEntry has this host; ${cure}`);
};
