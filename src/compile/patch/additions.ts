import type { Message } from "@bufbuild/protobuf";
import type { ApplyTo } from "../../api/networking/envoy-filter.js";
import type { Cluster } from "../../proto/envoy/config/cluster/v3/cluster_pb.js";
import type { TypedExtensionConfig } from "../../proto/envoy/config/core/v3/extension_pb.js";
import type { Listener } from "../../proto/envoy/config/listener/v3/listener_pb.js";
import { newValue } from "./apply.js";
import { type PatchContext, patchesFor } from "./match.js";
import type { PatchSet } from "./patches.js";
import { type PatchReport, unreported } from "./report.js";

type Named = Message & { readonly name: string };

/** What ADD patches bring, the first of each name. Of a context that is not said, they go out once: with outbound. */
const additions = <T extends Named>(
  set: PatchSet,
  applyTo: ApplyTo,
  context: PatchContext,
  isTaken: (name: string) => boolean,
  report: PatchReport,
): readonly T[] => {
  const added = new Map<string, T>();
  for (const patch of patchesFor(set, applyTo, context)) {
    if (patch.operation !== "ADD") continue;
    const isEverywhere = patch.match.context === undefined || patch.match.context === "ANY";
    if (isEverywhere && context.direction === "SIDECAR_INBOUND") continue;
    const value = newValue<T>(patch);
    if (added.has(value.name) || isTaken(value.name)) {
      report.failed(
        patch,
        `proxies of context ${context.direction}`,
        `${value.name} is there already; give it another name`,
      );
      continue;
    }
    added.set(value.name, value);
    report.applied(patch);
  }
  return [...added.values()];
};

const noneTaken = (): boolean => false;

/** Listeners that ADD patches bring; a name that `isTaken` by a generated one is refused. */
export const addedListeners = (
  set: PatchSet,
  context: PatchContext,
  isTaken: (name: string) => boolean = noneTaken,
  report: PatchReport = unreported,
): readonly Listener[] => additions<Listener>(set, "LISTENER", context, isTaken, report);

/** Clusters that ADD patches bring, as `addedListeners`. */
export const addedClusters = (
  set: PatchSet,
  context: PatchContext,
  isTaken: (name: string) => boolean = noneTaken,
  report: PatchReport = unreported,
): readonly Cluster[] => additions<Cluster>(set, "CLUSTER", context, isTaken, report);

/** ECDS resources that ADD patches bring; filters name them in config_discovery. */
export const extensionConfigs = (
  set: PatchSet,
  context: PatchContext,
  report: PatchReport = unreported,
): readonly TypedExtensionConfig[] =>
  additions<TypedExtensionConfig>(set, "EXTENSION_CONFIG", context, noneTaken, report);
