import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { clone, create, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { type Cluster, ClusterSchema } from "../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import type { TransportSocket } from "../../../src/proto/envoy/config/core/v3/base_pb.js";
import {
  ApiVersion,
  ConfigSourceSchema,
  PathConfigSourceSchema,
} from "../../../src/proto/envoy/config/core/v3/config_source_pb.js";
import { type Listener, ListenerSchema } from "../../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../../../src/proto/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import {
  type SdsSecretConfig,
  SdsSecretConfigSchema,
  type Secret,
  SecretSchema,
} from "../../../src/proto/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import {
  type CommonTlsContext,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../src/proto/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { DiscoveryResponseSchema } from "../../../src/proto/envoy/service/discovery/v3/discovery_pb.js";

/** The mesh's certificates from files in place of the control plane's stream, for an Envoy that has none. */

export interface MeshSecrets {
  readonly certificate: string;
  readonly key: string;
  readonly roots: string;
}

export const writeSecrets = (folder: string, { certificate, key, roots }: MeshSecrets): void => {
  const inline = (text: string) => ({ specifier: { case: "inlineString" as const, value: text } });
  const write = (secret: Secret): void => {
    const response = create(DiscoveryResponseSchema, { versionInfo: "1", resources: [anyPack(SecretSchema, secret)] });
    writeFileSync(join(folder, `secret-${secret.name}.pb`), toBinary(DiscoveryResponseSchema, response));
  };
  write(
    create(SecretSchema, {
      name: "default",
      type: { case: "tlsCertificate", value: { certificateChain: inline(certificate), privateKey: inline(key) } },
    }),
  );
  write(
    create(SecretSchema, { name: "ROOTCA", type: { case: "validationContext", value: { trustedCa: inline(roots) } } }),
  );
};

const fromFile = ({ name }: SdsSecretConfig, folder: string): SdsSecretConfig =>
  create(SdsSecretConfigSchema, {
    name,
    sdsConfig: create(ConfigSourceSchema, {
      resourceApiVersion: ApiVersion.V3,
      configSourceSpecifier: {
        case: "pathConfigSource",
        value: create(PathConfigSourceSchema, { path: join(folder, `secret-${name}.pb`) }),
      },
    }),
  });

const contextWithFiles = (common: CommonTlsContext | undefined, folder: string): void => {
  if (common === undefined) return;
  common.tlsCertificateSdsSecretConfigs = common.tlsCertificateSdsSecretConfigs.map((sds) => fromFile(sds, folder));
  const context = common.validationContextType;
  if (context.case === "combinedValidationContext")
    context.value.validationContextSdsSecretConfig = fromFile(context.value.validationContextSdsSecretConfig!, folder);
};

const socketWithFiles = (socket: TransportSocket, folder: string): void => {
  if (socket.configType.case !== "typedConfig") return;
  for (const schema of [UpstreamTlsContextSchema, DownstreamTlsContextSchema]) {
    const tls = anyUnpack(socket.configType.value, schema);
    if (tls === undefined) continue;
    contextWithFiles(tls.commonTlsContext, folder);
    socket.configType.value = anyPack(schema, tls);
  }
  const proxyProtocol = anyUnpack(socket.configType.value, ProxyProtocolUpstreamTransportSchema);
  if (proxyProtocol?.transportSocket !== undefined) {
    socketWithFiles(proxyProtocol.transportSocket, folder);
    socket.configType.value = anyPack(ProxyProtocolUpstreamTransportSchema, proxyProtocol);
  }
};

export const withFileSecrets = (cluster: Cluster, folder: string): Cluster => {
  const copy = clone(ClusterSchema, cluster);
  for (const socket of [copy.transportSocket, ...copy.transportSocketMatches.map((match) => match.transportSocket)])
    if (socket !== undefined) socketWithFiles(socket, folder);
  return copy;
};

export const listenerWithFileSecrets = (original: Listener, folder: string): Listener => {
  const copy = clone(ListenerSchema, original);
  for (const { transportSocket } of copy.filterChains)
    if (transportSocket !== undefined) socketWithFiles(transportSocket, folder);
  return copy;
};
