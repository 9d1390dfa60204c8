import { Agent, request } from "node:https";

export interface AdmissionTarget {
  readonly port: number;
  readonly serverName: string;
  readonly rootsPem: string;
}

/** An AdmissionReview of a Deployment's pod; `variables` environment variables make it large. */
export const reviewOf = (namespace: string, variables: number): string =>
  JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "0c2d4a53-8d5c-4d2b-9d0e-6b1d1c7a9f10",
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      operation: "CREATE",
      namespace,
      object: {
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          generateName: "cart-7d9c5b6f4-",
          namespace,
          labels: { app: "cart", version: "v1", "pod-template-hash": "7d9c5b6f4" },
          ownerReferences: [
            { apiVersion: "apps/v1", kind: "ReplicaSet", name: "cart-7d9c5b6f4", uid: "a2", controller: true },
          ],
        },
        spec: {
          serviceAccountName: "cart",
          containers: [
            {
              name: "cart",
              image: "registry.example/cart:1.42.0",
              ports: [{ name: "http", containerPort: 8080 }],
              env: Array.from({ length: variables }, (_, index) => ({
                name: `SETTING_${index}`,
                value: `value of setting ${index}`,
              })),
              resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
              readinessProbe: { httpGet: { path: "/ready", port: "http" }, periodSeconds: 5 },
              livenessProbe: { httpGet: { path: "/live", port: 8080 } },
              volumeMounts: [{ name: "kube-api-access", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" }],
            },
          ],
          volumes: [{ name: "kube-api-access", projected: { sources: [] } }],
          terminationGracePeriodSeconds: 30,
          restartPolicy: "Always",
        },
      },
    },
  });

export interface AdmissionClient {
  /** Sends one review and gives the milliseconds until the whole answer is there; rejects unless the pod is allowed. */
  readonly admit: (body: string) => Promise<number>;
  readonly close: () => void;
}

/** Keep-alive connections to a webhook, `connections` at most. */
export const createAdmissionClient = (target: AdmissionTarget, connections: number): AdmissionClient => {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  return {
    admit: (body) =>
      new Promise((resolve, reject) => {
        const began = performance.now();
        const sent = request(
          {
            host: "127.0.0.1",
            port: target.port,
            path: "/inject",
            method: "POST",
            agent,
            ca: target.rootsPem,
            servername: target.serverName,
            headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
          },
          (response) => {
            const chunks: Buffer[] = [];
            response.on("data", (chunk: Buffer) => chunks.push(chunk));
            response.on("end", () => {
              const milliseconds = performance.now() - began;
              const text = Buffer.concat(chunks).toString("utf8");
              if (response.statusCode === 200 && text.includes('"allowed":true')) resolve(milliseconds);
              else reject(new Error(`the webhook answered ${response.statusCode}: ${text.slice(0, 300)}`));
            });
          },
        );
        sent.on("error", reject);
        sent.end(body);
      }),
    close: () => agent.destroy(),
  };
};
