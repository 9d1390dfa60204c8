import { type Context, labelsOf, type Manifest, namespace } from "./context.js";
import { ports, selectorOf } from "./control-plane.js";

/**
 * Nothing of heddled but its ports can be reached. From where, is left open: proxies are in any namespace, and the API
 * server's address is not known to the cluster's network. What heddled may call is open for the same reason.
 */
export const networkPolicy = (context: Context): Manifest => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: `heddled${context.suffix}`, namespace, labels: { ...labelsOf(context), app: "heddled" } },
  spec: {
    podSelector: { matchLabels: selectorOf(context) },
    policyTypes: ["Ingress"],
    ingress: [{ ports: ports.map(({ targetPort }) => ({ port: targetPort, protocol: "TCP" })) }],
  },
});
