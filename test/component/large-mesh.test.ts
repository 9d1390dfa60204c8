import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../src/api/kubernetes.js";
import { defaultMeshConfig } from "../../src/api/meshconfig.js";
import { type TypeUrl, typeUrls } from "../../src/compile/resources.js";
import { createMemorySecrets } from "../../src/identity/memory-secrets.js";
import { channelArguments } from "../../src/injection/bootstrap.js";
import { startControlPlane } from "../../src/main/control-plane.js";

const services = 4000;
const serverName = "localhost";

const events: readonly ObjectEvent[] = [
  {
    kind: "Pod",
    namespace: "shop",
    name: "client",
    object: {
      metadata: { name: "client", namespace: "shop", uid: "uid" },
      spec: { containers: [{ name: "app" }] },
      status: { podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }] },
    },
  },
  ...Array.from({ length: services }, (_, index): ObjectEvent[] => {
    const metadata = { name: `service-${index}`, namespace: "shop" };
    const address = `11.0.${index >> 8}.${index & 255}`;
    return [
      {
        kind: "Service",
        namespace: "shop",
        name: metadata.name,
        object: {
          metadata,
          spec: { clusterIP: address, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
        } as never,
      },
      {
        kind: "EndpointSlice",
        namespace: "shop",
        name: `${metadata.name}-slice`,
        object: {
          metadata: {
            name: `${metadata.name}-slice`,
            namespace: "shop",
            labels: { "kubernetes.io/service-name": metadata.name },
          },
          addressType: "IPv4",
          ports: [{ name: "http", port: 8080 }],
          endpoints: [{ addresses: [address.replace("11.", "10.")], conditions: { ready: true } }],
        },
      },
    ];
  }).flat(),
];

/** Clusters and endpoints only: listeners would take this machine's ports. */
const bootstrapOf = (port: number, rootFile: string, adminFile: string): string => {
  const stream = { ads: {}, resource_api_version: "V3" };
  return JSON.stringify({
    node: { id: "sidecar~10.0.0.1~client.shop~shop.svc.cluster.local", cluster: "client.shop" },
    admin: { address: { pipe: { path: adminFile } } },
    dynamic_resources: {
      cds_config: stream,
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [
          {
            google_grpc: {
              target_uri: `${serverName}:${port}`,
              stat_prefix: "xds",
              channel_credentials: { ssl_credentials: { root_certs: { filename: rootFile } } },
              call_credentials: [{ access_token: "token" }],
              channel_args: channelArguments,
            },
          },
        ],
      },
    },
  });
};

test("a stock Envoy takes a mesh of 4,000 services, compressed, in one response a type", async () => {
  const folder = await mkdtemp(join(tmpdir(), "heddle-large-"));
  const answers: string[] = [];
  let pushed = 0;
  const complete = Promise.withResolvers<void>();
  const plane = await startControlPlane({
    mesh: defaultMeshConfig,
    source: { subscribe: (listener) => listener(events), synced: Promise.resolve(), stop: async () => {} },
    secrets: createMemorySecrets(),
    authenticate: async () => ({ namespace: "shop", podName: "client", podUid: "uid", serviceAccount: "default" }),
    admit: () => () => ({ allowed: true }),
    host: "127.0.0.1",
    xdsPort: 0,
    webhookPort: 0,
    serverNames: [serverName],
    logger: pino({ level: "silent" }),
    observe: {
      connected: () => {},
      pushed: (bytes) => {
        pushed += bytes;
      },
      acked: (type) => {
        answers.push(`ack ${type.split(".").at(-1)}`);
        if (type === typeUrls.endpoint) complete.resolve();
      },
      nacked: (type) => answers.push(`nack ${type}`),
      refused: () => answers.push("refused"),
    },
  });
  const rootFile = join(folder, "root.pem");
  await writeFile(rootFile, plane.authority.rootsPem);
  const envoy = spawn(
    ".cache/tools/bin/envoy",
    [
      ...["--config-yaml", bootstrapOf(plane.xds.port, rootFile, join(folder, "admin"))],
      ...["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  envoy.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString("utf8");
  });
  const ended = new Promise((resolve) => envoy.once("exit", resolve));
  const deadline = setTimeout(() => complete.reject(new Error(`${answers.join()}\n${log}`)), 60_000);
  try {
    await complete.promise;
    const { layers } = plane.compiler.attach("shop", "client", "uid")!;
    const bytesOf = (type: TypeUrl): number =>
      layers
        .flatMap((layer) => [...layer.names(type)].map((name) => layer.get(type, name)!.encoded.length))
        .reduce((sum, length) => sum + length, 0);
    const clusters = bytesOf(typeUrls.cluster);
    const plain = clusters + bytesOf(typeUrls.endpoint);
    assert.ok(clusters > 4 << 20, `${clusters} bytes in one message, more than gRPC's own limit`);
    assert.ok(pushed < plain / 5, `${pushed} of ${plain} bytes were sent`);
    assert.is(answers.filter((answer) => answer === "ack Cluster").length, 1);
    assert.not.match(answers.join(), /nack|refused/);
  } finally {
    clearTimeout(deadline);
    envoy.kill("SIGKILL");
    await ended;
    await plane.stop();
    await rm(folder, { recursive: true });
  }
});

test.run();
