import { create, createRegistry, toJson } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import { clientTls, serverTls } from "../../../src/compile/tls.js";
import { spireCluster } from "../../../src/injection/spire.js";
import { type TransportSocket, TransportSocketSchema } from "../../../src/proto/envoy/config/core/v3/base_pb.js";
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from "../../../src/proto/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";

interface SecretConfig {
  readonly name: string;
  readonly sdsConfig: Readonly<Record<string, unknown>>;
}
interface CommonContext {
  readonly tlsCertificateSdsSecretConfigs: readonly SecretConfig[];
  readonly combinedValidationContext: {
    readonly defaultValidationContext: object;
    readonly validationContextSdsSecretConfig: SecretConfig;
  };
}

const registry = createRegistry(DownstreamTlsContextSchema, UpstreamTlsContextSchema);
const contextOf = (socket: TransportSocket): CommonContext => {
  const json = toJson(TransportSocketSchema, create(TransportSocketSchema, socket), { registry });
  return (json as unknown as { readonly typedConfig: { readonly commonTlsContext: CommonContext } }).typedConfig
    .commonTlsContext;
};

const socketsOf = (mesh: typeof defaultMeshConfig): readonly TransportSocket[] => [
  serverTls(mesh, ["h2"]),
  clientTls("peer", ["istio"], [{ case: "exact", value: "spiffe://cluster.local/ns/a/sa/b" }], mesh),
];
const withSpire = { ...defaultMeshConfig, spire: { nodeFolder: "" } };

test("both sides take certificate and trust bundle from the agent that the bootstrap knows", () => {
  const sdsConfig = {
    apiConfigSource: {
      apiType: "GRPC",
      transportApiVersion: "V3",
      grpcServices: [{ envoyGrpc: { clusterName: spireCluster } }],
    },
    initialFetchTimeout: "0s",
    resourceApiVersion: "V3",
  };
  for (const socket of socketsOf(withSpire)) {
    const { tlsCertificateSdsSecretConfigs, combinedValidationContext } = contextOf(socket);
    assert.equal(tlsCertificateSdsSecretConfigs, [{ name: "default", sdsConfig }]);
    assert.equal(combinedValidationContext.validationContextSdsSecretConfig, { name: "ROOTCA", sdsConfig });
  }
});

test("who the other side may be does not depend on who gives certificates", () => {
  const [ours, spires] = [defaultMeshConfig, withSpire].map((mesh) =>
    socketsOf(mesh).map((socket) => contextOf(socket).combinedValidationContext.defaultValidationContext),
  );
  assert.equal(spires, ours);
});

test("without SPIRE secrets come over the control plane's stream", () => {
  for (const socket of socketsOf(defaultMeshConfig))
    for (const { sdsConfig } of contextOf(socket).tlsCertificateSdsSecretConfigs) assert.ok("ads" in sdsConfig);
});

test.run();
