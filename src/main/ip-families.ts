import { keyOf, type Snapshot } from "../model/snapshot.js";

type IpFamily = "IPv4" | "IPv6";

const familiesOf = (addresses: readonly string[]): readonly IpFamily[] => [
  ...new Set(addresses.map((address): IpFamily => (address.includes(":") ? "IPv6" : "IPv4"))),
];

/**
 * The IP families that the cluster gives its pods, the primary one first. A pod has no address yet when it is injected,
 * but heddled is a pod like any other; the Service `kubernetes`, which has one family even where pods have two, serves
 * where heddled's own pod is not known.
 */
export const ipFamiliesOf = (snapshot: Snapshot, namespace: string, podName: string): readonly IpFamily[] => {
  const { podIPs, podIP } = snapshot.pods.get(keyOf(namespace, podName))?.status ?? {};
  const own = podIPs?.map(({ ip }) => ip ?? "") ?? (podIP === undefined ? [] : [podIP]);
  const service = snapshot.services.get(keyOf("default", "kubernetes"))?.addresses ?? [];
  const families = familiesOf(own.length > 0 ? own : service);
  return families.length > 0 ? families : ["IPv4"];
};
