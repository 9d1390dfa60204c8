import type { ExtensionProvider } from "../../../../src/api/extension-provider.ts";
import { defaultMeshConfig } from "../../../../src/api/meshconfig.ts";
import { collect } from "../../../../src/cli/analyze/collect.ts";
import { readDocumentsOf } from "../../../../src/cli/analyze/documents.ts";
import type { Code } from "../../../../src/model/analysis/codes.ts";

/**
 * One row a code: resources that earn it, the field that it names, and how the message goes on; then the same with the
 * fault mended. Rows share a base of services and pods.
 */
export interface Row {
  readonly code: Code;
  readonly bad: string;
  /** `kind namespace/name path` */
  readonly where: string;
  readonly message: RegExp;
  readonly good: string;
}

export const base = `
{apiVersion: v1, kind: Namespace, metadata: {name: prod, labels: {istio-injection: enabled}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Service, metadata: {name: reviews, namespace: prod}, spec: {selector: {app: reviews}, ports: [{name: http, port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: prod}, spec: {selector: {app: db}, ports: [{name: tcp-db, port: 5432}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: reviews, namespace: prod}, spec: {template: {metadata: {labels: {app: reviews, version: v1}}, spec: {containers: [{name: a, ports: [{name: web, containerPort: 8080}]}]}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: db, namespace: prod}, spec: {template: {metadata: {labels: {app: db, version: v1, "sidecar.istio.io/inject": "false"}}, spec: {containers: [{name: a}]}}}}
`;

export const of =
  (kind: string, version = "networking.istio.io/v1") =>
  (name: string, spec: string, metadata = ""): string =>
    `{apiVersion: ${version}, kind: ${kind}, metadata: {namespace: prod, name: ${name}${metadata === "" ? "" : `, ${metadata}`}}, spec: ${spec}}`;
export const virtualService = of("VirtualService");
export const destinationRule = of("DestinationRule");
export const serviceEntry = of("ServiceEntry");
export const sidecar = of("Sidecar");
export const envoyFilter = of("EnvoyFilter", "networking.istio.io/v1alpha3");
export const peerAuthentication = of("PeerAuthentication", "security.istio.io/v1");
export const requestAuthentication = of("RequestAuthentication", "security.istio.io/v1");
export const authorizationPolicy = of("AuthorizationPolicy", "security.istio.io/v1");
export const telemetry = of("Telemetry", "telemetry.istio.io/v1");
export const service = of("Service", "v1");
export const all = (...documents: readonly string[]): string => documents.join("\n---\n");

export const older = 'creationTimestamp: "2024-01-01T00:00:00Z"';
export const newer = 'creationTimestamp: "2025-01-01T00:00:00Z"';
export const toReviews = "route: [{destination: {host: reviews}}]";
export const simple = `{hosts: [reviews], http: [{${toReviews}}]}`;
export const routedTo = (destination: string): string =>
  virtualService("a", `{hosts: [reviews], http: [{route: [{destination: ${destination}}]}]}`);
export const subsets = destinationRule("reviews", "{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}");
export const external = (name: string, fields: string, metadata = ""): string =>
  serviceEntry(name, `{location: MESH_EXTERNAL, resolution: DNS, ${fields}}`, metadata);
export const pod = (status: string, labels = "app: reviews, version: v1"): string =>
  `{apiVersion: v1, kind: Pod, metadata: {name: reviews-1, namespace: prod, labels: {${labels}}}, spec: {containers: [{name: a}]}, status: {${status}}}`;
export const delegate = virtualService("part", `{http: [{${toReviews}}]}`);
export const delegating = (name: string): string => `{hosts: [reviews], http: [{delegate: {name: ${name}}}]}`;

/** Whom CUSTOM policies can ask. */
const extensionProviders: readonly ExtensionProvider[] = [
  { name: "grpc", envoyExtAuthzGrpc: { service: "reviews.prod.svc.cluster.local", port: 80 } },
  { name: "http", envoyExtAuthzHttp: { service: "reviews.prod.svc.cluster.local", port: 80 } },
  { name: "gone", envoyExtAuthzGrpc: { service: "gone.prod.svc.cluster.local", port: 80 } },
  { name: "tracing" },
];

export const reportsOf = (yaml: string) => {
  const { objects, unreadable } = readDocumentsOf(`${base}---\n${yaml}`, "test.yaml", "default");
  return collect(objects, unreadable, { ...defaultMeshConfig, extensionProviders }).reports;
};
