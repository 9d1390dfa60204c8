import type { V1Pod } from "@kubernetes/client-node";
import type { ObjectEvent } from "../../api/kubernetes.js";

const placeLabels = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"];

const selectorOf = (pod: V1Pod): Readonly<Record<string, string>> => pod.spec?.nodeSelector ?? {};

/** The node that the scheduler finds for a pod: one of the place that its selector names, or this machine. */
export const nodeNameOf = (pod: V1Pod): string => {
  const places = placeLabels.flatMap((label) => selectorOf(pod)[label] ?? []);
  return places.length === 0 ? "this-machine" : ["node", ...places].join("-");
};

/** That node, with the labels that the pod's selector asks for. */
export const nodeOf = (pod: V1Pod): ObjectEvent => {
  const name = nodeNameOf(pod);
  const node = { apiVersion: "v1", kind: "Node", metadata: { name, labels: selectorOf(pod) } };
  return { kind: "Node", namespace: "", name, object: node };
};
