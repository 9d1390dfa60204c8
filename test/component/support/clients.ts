import { request } from "node:https";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError, type status } from "@grpc/grpc-js";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../../src/proto/envoy/service/discovery/v3/discovery_pb.js";

export interface XdsClient {
  readonly call: ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  readonly send: (request: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]) => void;
  /** How the stream ended. */
  readonly ended: Promise<{ readonly code: status; readonly details: string }>;
  readonly close: () => void;
}

/** A delta ADS stream as a proxy opens it. */
export const openXdsStream = (
  target: string,
  rootsPem: string,
  token: string | undefined,
  host?: string,
): XdsClient => {
  const client = new Client(target, credentials.createSsl(Buffer.from(rootsPem)), {
    ...(host === undefined ? {} : { "grpc.ssl_target_name_override": host, "grpc.default_authority": host }),
  });
  const metadata = new Metadata();
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  const call = client.makeBidiStreamRequest<DeltaDiscoveryRequest, DeltaDiscoveryResponse>(
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    (message) => Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)),
    (bytes) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
    metadata,
  );
  const ended = new Promise<{ readonly code: status; readonly details: string }>((resolve) => {
    call.on("error", (error: ServiceError) => resolve({ code: error.code, details: error.details }));
    call.on("status", ({ code, details }) => resolve({ code, details }));
  });
  return {
    call,
    send: (message) => call.write(create(DeltaDiscoveryRequestSchema, message)),
    ended,
    close: () => {
      call.cancel();
      client.close();
    },
  };
};

export interface Review {
  readonly allowed: boolean;
  readonly patch: readonly { readonly op: string; readonly path: string; readonly value?: unknown }[];
  readonly message: string;
}

/** Sends a pod to the webhook as the API server does. */
export const admit = (port: number, rootsPem: string, pod: object, fields: object = {}): Promise<Review> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify({
      apiVersion: "admission.k8s.io/v1",
      kind: "AdmissionReview",
      request: {
        uid: "u1",
        kind: { group: "", version: "v1", kind: "Pod" },
        operation: "CREATE",
        namespace: "shop",
        object: pod,
        ...fields,
      },
    });
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        path: "/inject",
        method: "POST",
        agent: false,
        ca: rootsPem,
        servername: "heddled.istio-system.svc",
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const { response: review } = JSON.parse(Buffer.concat(chunks).toString()) as {
            readonly response: { allowed: boolean; patch?: string; status?: { message: string } };
          };
          const patch = review.patch === undefined ? "[]" : Buffer.from(review.patch, "base64").toString();
          resolve({
            allowed: review.allowed,
            patch: JSON.parse(patch) as Review["patch"],
            message: review.status?.message ?? "",
          });
        });
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
