import type { ConfigurationKind, ConfigurationObjects } from "../../api/kinds.js";
import type { Pod } from "../../api/kubernetes.js";
import { selectEnvoyFilters } from "../../model/envoy-filter.js";
import { exportTargets, isExportedTo } from "../../model/hosts.js";
import { peerAuthenticationAt, reaches } from "../../model/peer-authentication.js";
import { selectsOrAll } from "../../model/selector.js";
import { sidecarOf } from "../../model/sidecar-scope.js";
import type { Snapshot } from "../../model/snapshot.js";
import { isTelemetryOf } from "../../model/telemetry.js";
import { isPolicyFor, policyAt } from "../../model/workload-policies.js";

type AnyObject = ConfigurationObjects[ConfigurationKind];

/** The version of a resource that is in force in the model; kinds that the model does not hold have none. */
export const objectOf = (snapshot: Snapshot, kind: ConfigurationKind, key: string): AnyObject | undefined => {
  switch (kind) {
    case "VirtualService":
      return snapshot.virtualServices.written.get(key);
    case "DestinationRule":
      return snapshot.destinationRules.get(key);
    case "ServiceEntry":
      return snapshot.serviceEntries.get(key);
    case "WorkloadEntry":
      return snapshot.workloadEntries.get(key);
    case "Sidecar":
      return snapshot.sidecars.get(key);
    case "EnvoyFilter":
      return snapshot.envoyFilters.get(key);
    case "PeerAuthentication":
      return peerAuthenticationAt(snapshot, key);
    case "AuthorizationPolicy":
      return policyAt(snapshot.authorizationPolicies, key);
    case "RequestAuthentication":
      return policyAt(snapshot.requestAuthentications, key);
    case "Telemetry":
      return policyAt(snapshot.telemetries, key);
    default:
      return undefined;
  }
};

/** Which pods' proxies are sent what the resource says; undefined if none ever is. */
export const concerns = (
  snapshot: Snapshot,
  kind: ConfigurationKind,
  key: string,
): ((pod: Pod) => boolean) | undefined => {
  const { mesh } = snapshot;
  const own = key.slice(0, key.indexOf("/"));
  const namespaceOf = (pod: Pod): string => pod.metadata?.namespace ?? "default";
  const exported = (exportTo: readonly string[] | undefined, fallback: readonly string[]) => {
    const targets = exportTargets(exportTo, own, fallback);
    return (pod: Pod): boolean => isExportedTo(targets, namespaceOf(pod));
  };
  const selected = (policy: Parameters<typeof isPolicyFor>[0] | undefined) =>
    policy && ((pod: Pod) => isPolicyFor(policy, mesh.rootNamespace, namespaceOf(pod), pod.metadata?.labels ?? {}));
  switch (kind) {
    case "VirtualService": {
      const object = snapshot.virtualServices.written.get(key);
      return object && exported(object.spec.exportTo, mesh.defaultVirtualServiceExportTo);
    }
    case "DestinationRule": {
      const object = snapshot.destinationRules.get(key);
      const selector = object?.spec.workloadSelector;
      if (object === undefined || selector === undefined)
        return object && exported(object.spec.exportTo, mesh.defaultDestinationRuleExportTo);
      return (pod) => namespaceOf(pod) === own && selectsOrAll(selector.matchLabels, pod.metadata?.labels ?? {});
    }
    case "ServiceEntry": {
      const object = snapshot.serviceEntries.get(key);
      return object && exported(object.spec.exportTo, mesh.defaultServiceExportTo);
    }
    case "WorkloadEntry":
      return snapshot.workloadEntries.has(key) ? () => true : undefined;
    case "Sidecar": {
      const object = snapshot.sidecars.get(key);
      return object && ((pod) => sidecarOf(snapshot, namespaceOf(pod), pod.metadata?.labels ?? {}) === object);
    }
    case "EnvoyFilter": {
      const object = snapshot.envoyFilters.get(key);
      return (
        object &&
        ((pod) =>
          selectEnvoyFilters(
            [object],
            { namespace: namespaceOf(pod), labels: pod.metadata?.labels ?? {} },
            mesh.rootNamespace,
          ).length > 0)
      );
    }
    case "PeerAuthentication": {
      const object = peerAuthenticationAt(snapshot, key);
      return object && ((pod) => reaches(snapshot, object, namespaceOf(pod), pod.metadata?.labels ?? {}));
    }
    case "AuthorizationPolicy":
      return selected(policyAt(snapshot.authorizationPolicies, key));
    case "RequestAuthentication":
      return selected(policyAt(snapshot.requestAuthentications, key));
    case "Telemetry": {
      const object = policyAt(snapshot.telemetries, key);
      return object && ((pod) => isTelemetryOf(snapshot, object, namespaceOf(pod), pod.metadata?.labels ?? {}));
    }
    default:
      return undefined;
  }
};
