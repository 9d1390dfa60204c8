import { Writable } from "node:stream";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { pino } from "pino";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { typeUrls } from "../../src/compile/resources.js";
import { createView } from "../../src/compile/view.js";
import { openAuthority } from "../../src/identity/authority.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { createTokenAuthenticator } from "../../src/identity/token.js";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../src/proto/envoy/service/discovery/v3/discovery_pb.js";
import { startXdsServer } from "../../src/serve/server.js";

const secret = "SECRET-TOKEN";

const start = async () => {
  let log = "";
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      log += chunk.toString("utf8");
      done();
    },
  });
  const authority = await openAuthority(createMemorySecrets(), "cluster.local");
  const authenticate = createTokenAuthenticator(async (token) => {
    if (token !== `${secret}-good`) return { authenticated: false, error: `token ${token}` };
    return {
      authenticated: true,
      audiences: ["istio-ca"],
      user: {
        username: "system:serviceaccount:shop:cart",
        extra: {
          "authentication.kubernetes.io/pod-name": ["cart-1"],
          "authentication.kubernetes.io/pod-uid": ["uid"],
        },
      },
    };
  }, "istio-ca");
  const view = createView();
  const server = await startXdsServer({
    host: "127.0.0.1",
    port: 0,
    authenticate,
    configuration: {
      attach: async () => ({ layers: [view], onChange: () => () => {}, release: () => {} }),
      nacked: () => {},
    },
    certificate: await authority.issue({ dnsNames: ["localhost"] }, 3600),
    logger: pino({ level: "trace" }, sink),
  });
  return { server, authority, log: () => log };
};

const ask = (port: number, root: string, token: string | undefined, nodeId: string) =>
  new Promise<{ readonly code: status; readonly details: string }>((resolve) => {
    const client = new Client(`localhost:${port}`, credentials.createSsl(Buffer.from(root)));
    const metadata = new Metadata();
    if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
    const call = client.makeBidiStreamRequest(
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
      (request: object) =>
        Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request))),
      (bytes) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
      metadata,
      { deadline: Date.now() + 5000 },
    );
    const finish = (code: status, details: string): void => {
      call.cancel();
      client.close();
      resolve({ code, details });
    };
    call.on("data", (response: DeltaDiscoveryResponse) => finish(status.OK, response.typeUrl));
    call.on("error", (error: ServiceError) => finish(error.code, error.details));
    call.write({ typeUrl: typeUrls.cluster, node: { id: nodeId } });
  });

const nodeOf = (pod: string): string => `sidecar~10.0.0.1~${pod}.shop~shop.svc.cluster.local`;

test("a stream needs a valid token and the node id of its own pod; nothing secret is logged", async () => {
  const { server, authority, log } = await start();
  try {
    const cases: readonly (readonly [string | undefined, string, status])[] = [
      [undefined, nodeOf("cart-1"), status.UNAUTHENTICATED],
      [`${secret}-expired`, nodeOf("cart-1"), status.UNAUTHENTICATED],
      [`${secret}-good`, nodeOf("other"), status.PERMISSION_DENIED],
      [`${secret}-good`, nodeOf("cart-1"), status.OK],
    ];
    for (const [token, nodeId, expected] of cases) {
      const answer = await ask(server.port, authority.rootsPem, token, nodeId);
      assert.is(answer.code, expected, `${token} ${nodeId}: ${answer.details}`);
      assert.not.match(answer.details, secret);
    }
    assert.is(log().match(/refused an xDS stream/g)?.length, 3);
    assert.not.match(log(), secret);
    assert.not.match(log(), "PRIVATE KEY");
  } finally {
    await server.stop();
  }
});

test("connections made after a rotation see the new certificate", async () => {
  const { server, authority } = await start();
  try {
    server.setCertificate(await authority.issue({ dnsNames: ["localhost"] }, 60));
    const answer = await ask(server.port, authority.rootsPem, `${secret}-good`, nodeOf("cart-1"));
    assert.is(answer.code, status.OK, answer.details);
  } finally {
    await server.stop();
  }
});

test.run();
