import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { defaultMeshConfig, type MeshConfig } from "../../src/api/meshconfig.js";
import { type AttachedWorkload, createCompiler } from "../../src/compile/compiler.js";
import { type TypeUrl, typeUrls } from "../../src/compile/resources.js";
import { type Cluster, ClusterSchema } from "../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import {
  type TypedExtensionConfig,
  TypedExtensionConfigSchema,
} from "../../src/proto/envoy/config/core/v3/extension_pb.js";
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from "../../src/proto/envoy/config/endpoint/v3/endpoint_pb.js";
import { type Listener, ListenerSchema } from "../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { type RouteConfiguration, RouteConfigurationSchema } from "../../src/proto/envoy/config/route/v3/route_pb.js";
import { ResourceSchema } from "../../src/proto/envoy/service/discovery/v3/discovery_pb.js";
import { readDocuments } from "../../src/watch/documents.js";

/** What one pod's proxy is given, by the resources' names. */
export interface Compiled {
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly extensions: ReadonlyMap<string, TypedExtensionConfig>;
  readonly endpoints: ReadonlyMap<string, ClusterLoadAssignment>;
  readonly listeners: ReadonlyMap<string, Listener>;
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
}

const decodeAll = <Desc extends DescMessage>(
  { layers }: AttachedWorkload,
  type: TypeUrl,
  schema: Desc,
): ReadonlyMap<string, MessageShape<Desc>> =>
  new Map(
    layers.flatMap((layer) =>
      [...layer.names(type)].map((name): [string, MessageShape<Desc>] => {
        const { resource } = fromBinary(ResourceSchema, layer.get(type, name)!.encoded);
        return [name, fromBinary(schema, resource!.value)];
      }),
    ),
  );

export const decode = (workload: AttachedWorkload): Compiled => ({
  clusters: decodeAll(workload, typeUrls.cluster, ClusterSchema),
  extensions: decodeAll(workload, typeUrls.extension, TypedExtensionConfigSchema),
  endpoints: decodeAll(workload, typeUrls.endpoint, ClusterLoadAssignmentSchema),
  listeners: decodeAll(workload, typeUrls.listener, ListenerSchema),
  routes: decodeAll(workload, typeUrls.route, RouteConfigurationSchema),
});

/** A pod in YAML with what a proxy's stream needs: an address, and a uid that is its name. */
export const podYaml = (
  name: string,
  namespace: string,
  options: { readonly labels?: object; readonly ip?: string; readonly annotations?: object } = {},
): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, uid: name, labels: options.labels ?? {}, annotations: options.annotations ?? {} },
    spec: { containers: [{ name: "app" }] },
    status: { podIP: options.ip ?? "10.1.0.1", podIPs: [{ ip: options.ip ?? "10.1.0.1" }] },
  });

/** What the pod `namespace/name` of the YAML is given. Without `failed` what cannot be compiled is an error. */
export const compileYaml = (
  yaml: string,
  pod: string,
  mesh: Partial<MeshConfig> = {},
  failed?: (what: string, error: Error) => void,
): Compiled => {
  const compiler = createCompiler({ ...defaultMeshConfig, ...mesh }, failed);
  compiler.apply(readDocuments(yaml, "test.yaml"));
  const [namespace = "", name = ""] = pod.split("/");
  const workload = compiler.attach(namespace, name, name);
  if (workload === undefined) throw new Error(`no pod ${pod} in the YAML`);
  return decode(workload);
};
