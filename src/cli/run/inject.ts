import { randomUUID } from "node:crypto";
import { request } from "node:https";
import type { V1Pod } from "@kubernetes/client-node";
import jsonPatch, { type Operation } from "fast-json-patch";

export interface WebhookAddress {
  readonly host: string;
  readonly port: number;
  /** Name in the webhook's certificate. */
  readonly serverName: string;
  readonly rootsPem: string;
}

interface AdmissionAnswer {
  readonly response?: {
    readonly allowed: boolean;
    readonly patch?: string;
    readonly status?: { readonly message?: string };
  };
}

const reviewOf = (pod: V1Pod): object => ({
  apiVersion: "admission.k8s.io/v1",
  kind: "AdmissionReview",
  request: {
    uid: randomUUID(),
    kind: { group: "", version: "v1", kind: "Pod" },
    resource: { group: "", version: "v1", resource: "pods" },
    operation: "CREATE",
    namespace: pod.metadata?.namespace,
    object: { ...pod, apiVersion: "v1", kind: "Pod" },
  },
});

const post = (webhook: WebhookAddress, body: string): Promise<AdmissionAnswer> =>
  new Promise((resolve, reject) => {
    const call = request(
      {
        host: webhook.host,
        port: webhook.port,
        path: "/inject",
        method: "POST",
        servername: webhook.serverName,
        ca: webhook.rootsPem,
        agent: false,
        headers: { "content-type": "application/json" },
        timeout: 10_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => resolve(JSON.parse(Buffer.concat(chunks).toString("utf8")) as AdmissionAnswer));
      },
    );
    call.on("error", reject);
    call.end(body);
  });

/** Sends the pod to the webhook over HTTPS, as the API server does, and applies the patch. */
export const inject = async (webhook: WebhookAddress, pod: V1Pod): Promise<V1Pod> => {
  const { response } = await post(webhook, JSON.stringify(reviewOf(pod)));
  if (response?.allowed !== true)
    throw new Error(`pod ${pod.metadata?.name}: ${response?.status?.message ?? "the webhook refused it"}`);
  if (response.patch === undefined) return pod;
  const patch = JSON.parse(Buffer.from(response.patch, "base64").toString("utf8")) as Operation[];
  return jsonPatch.applyPatch(pod, patch, true, false).newDocument;
};
