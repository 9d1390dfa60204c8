import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { type DescMessage, type Message, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parse } from "yaml";
import type { EnvoyFilter } from "../../src/api/networking/envoy-filter.js";
import { addedClusters, addedListeners } from "../../src/compile/patch/additions.js";
import { patchCluster } from "../../src/compile/patch/clusters.js";
import { patchListener } from "../../src/compile/patch/listener.js";
import { compilePatches, findingsOf, isEmpty, type PatchSet } from "../../src/compile/patch/patches.js";
import { createPatchReport, type PatchReport, reportedFindings } from "../../src/compile/patch/report.js";
import { patchRouteConfiguration } from "../../src/compile/patch/routes.js";
import { envoyTypes } from "../../src/compile/patch/types.js";
import { ClusterSchema } from "../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import { ListenerSchema } from "../../src/proto/envoy/config/listener/v3/listener_pb.js";
import { RouteConfigurationSchema } from "../../src/proto/envoy/config/route/v3/route_pb.js";
import { filters } from "../unit/compile/patch/arbitrary.js";
import {
  applicationCluster,
  inbound,
  inboundListener,
  outbound,
  outboundListeners,
  outboundRoutes,
  reviewsCluster,
} from "../unit/compile/patch/support.js";

const envoy = ".cache/tools/bin/envoy";
const samples = "deploy/samples/envoyfilter";

const json = (type: DescMessage, message: Message): object =>
  toJson(type, message, { registry: envoyTypes(), useProtoFieldName: true }) as object;

const present = <T>(items: readonly (T | undefined)[]): readonly T[] => items.filter((item) => item !== undefined);

interface Configuration {
  readonly listeners: readonly object[];
  readonly clusters: readonly object[];
}

/** All that a proxy would be sent, after the patches; routes that it would ask for stand in a listener of their own. */
const patched = (set: PatchSet, report: PatchReport): Configuration => {
  const listeners = present([
    patchListener(set, inbound, inboundListener(), report),
    ...outboundListeners().map((listener) => patchListener(set, outbound, listener, report)),
    ...[inbound, outbound].flatMap((context) => addedListeners(set, context, () => false, report)),
  ]);
  const clusters = present([
    patchCluster(set, inbound, applicationCluster(), ["backend.default.svc.cluster.local"], report),
    patchCluster(set, outbound, reviewsCluster(), [], report),
    ...[inbound, outbound].flatMap((context) => addedClusters(set, context, () => false, report)),
  ]);
  const routes = patchRouteConfiguration(set, outbound, outboundRoutes(), report);
  return {
    listeners: [
      ...listeners.map((listener) => json(ListenerSchema, listener)),
      httpListener("routes", 15099, { route_config: json(RouteConfigurationSchema, routes) }),
    ],
    clusters: clusters.map((cluster) => json(ClusterSchema, cluster)),
  };
};

const httpListener = (name: string, port: number, manager: object): object => ({
  name,
  address: { socket_address: { address: "127.0.0.1", port_value: port } },
  filter_chains: [
    {
      filters: [
        {
          name: "envoy.filters.network.http_connection_manager",
          typed_config: {
            "@type":
              "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            stat_prefix: name,
            http_filters: [
              {
                name: "envoy.filters.http.router",
                typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
              },
            ],
            ...manager,
          },
        },
      ],
    },
  ],
});

const endpoint = (name: string, port: number): object => ({
  cluster_name: name,
  endpoints: [
    { lb_endpoints: [{ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } }] },
  ],
});

const controlPlane = {
  name: "xds",
  type: "STATIC",
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
  load_assignment: endpoint("xds", 1),
};

const bootstrap = ({ listeners, clusters }: Configuration): object => ({
  node: { id: "test", cluster: "test" },
  dynamic_resources: {
    ads_config: {
      api_type: "DELTA_GRPC",
      transport_api_version: "V3",
      grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
    },
  },
  static_resources: { listeners, clusters: [controlPlane, ...clusters] },
});

const execute = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), "heddle-envoyfilter-"));

const fileOf = async (name: string, content: object): Promise<string> => {
  const path = join(folder, `${name}.json`);
  await writeFile(path, JSON.stringify(content));
  return path;
};

/** Envoy's own judgement; the text says what it does not take. */
const refusalOf = async (name: string, configuration: Configuration): Promise<string | undefined> => {
  const path = await fileOf(name, bootstrap(configuration));
  try {
    await execute(envoy, ["--mode", "validate", "--disable-hot-restart", "-l", "error", "-c", path], {
      timeout: 60_000,
      maxBuffer: 16 << 20,
    });
    return undefined;
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? error).slice(-2000);
  }
};

const readSample = async (file: string): Promise<EnvoyFilter> =>
  parse(await readFile(join(samples, file), "utf8")) as EnvoyFilter;

const files = (await readdir(samples)).filter((name) => name.endsWith(".yaml")).sort();

for (const file of files)
  test(`Envoy takes what ${file} makes of the mesh's configuration`, async () => {
    const set = compilePatches([await readSample(file)]);
    const report = createPatchReport();
    const configuration = patched(set, report);
    assert.equal([...findingsOf(set), ...reportedFindings(set, report)], []);
    assert.not.equal(JSON.stringify(configuration), JSON.stringify(patched(compilePatches([]), createPatchReport())));
    assert.is(await refusalOf(file, configuration), undefined);
  });

test("Envoy takes all samples together", async () => {
  const set = compilePatches(await Promise.all(files.map(readSample)));
  const report = createPatchReport();
  const configuration = patched(set, report);
  assert.equal([...findingsOf(set), ...reportedFindings(set, report)], []);
  assert.is(await refusalOf("all", configuration), undefined);
});

test("Envoy takes what is left of patches that it would refuse", async () => {
  const hcm = "envoy.filters.network.http_connection_manager";
  const router = {
    listener: { filterChain: { filter: { name: hcm, subFilter: { name: "envoy.filters.http.router" } } } },
  };
  const lua = {
    name: "envoy.filters.http.lua",
    typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua" },
  };
  const set = compilePatches([
    {
      metadata: { name: "hostile", namespace: "default" },
      spec: {
        configPatches: [
          { applyTo: "HTTP_FILTER", match: router, patch: { operation: "REMOVE" } },
          { applyTo: "HTTP_FILTER", match: router, patch: { operation: "INSERT_AFTER", value: lua } },
          { applyTo: "FILTER_CHAIN", patch: { operation: "REMOVE" } },
          { applyTo: "CLUSTER", patch: { operation: "MERGE", value: { type: "STRICT_DNS" } } },
          { applyTo: "CLUSTER", patch: { operation: "MERGE", value: { connect_timeout: "-1s" } } },
          {
            applyTo: "CLUSTER",
            patch: { operation: "ADD", value: { name: "reviews", eds_cluster_config: {}, alt_stat_name: 7 } },
          },
          { applyTo: "VIRTUAL_HOST", patch: { operation: "MERGE", value: { domains: ["*"] } } },
          { applyTo: "HTTP_ROUTE", patch: { operation: "MERGE", value: { direct_response: { status: 1000 } } } },
          { applyTo: "LISTENER", patch: { operation: "MERGE", value: { name: "other" } } },
        ],
      },
    },
  ]);
  const report = createPatchReport();
  const configuration = patched(set, report);
  const paths = [...findingsOf(set), ...reportedFindings(set, report)]
    .filter(({ finding }) => finding.severity === "error")
    .map(({ finding }) => Number(/\d+/.exec(finding.path)?.[0]));
  assert.equal([...new Set(paths)].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.is(await refusalOf("hostile", configuration), undefined);
});

test("Envoy takes what any set of patches leaves", async () => {
  // A seed of the day: what it refuses is shown with its filters, so that it can be tried again.
  for (const given of fc.sample(filters, { numRuns: 40, seed: Math.floor(Date.now() / 86_400_000) })) {
    const set = compilePatches(given);
    if (isEmpty(set)) continue;
    const refusal = await refusalOf("any", patched(set, createPatchReport()));
    assert.is(refusal, undefined, `${refusal}\n${JSON.stringify(given)}`);
  }
});

const listening = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
};

const freePort = async (): Promise<number> => {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

const answering = async (url: string, proxy: ChildProcess): Promise<void> => {
  const deadline = Date.now() + 30_000;
  while (Date.now() < deadline && proxy.exitCode === null) {
    try {
      await fetch(url, { method: "OPTIONS" });
      return;
    } catch {
      await delay(100);
    }
  }
  throw new Error(`no answer from ${url}, Envoy ended with ${proxy.exitCode}`);
};

/** Nobody is there to ask for what security policies say. */
const withoutDiscovered = (filterChain: object): object =>
  JSON.parse(JSON.stringify(filterChain), (_, value: unknown) =>
    Array.isArray(value) ? value.filter((item) => !("config_discovery" in Object(item))) : value,
  ) as object;

test("a script and a rate limit work in a real proxy", async () => {
  const application = createServer((request, response) => response.end(`served ${request.url}`));
  const applicationPort = await listening(application);
  const [port, plainPort] = [await freePort(), await freePort()];
  const filters = await Promise.all(["lua-response-header.yaml", "local-rate-limit.yaml"].map(readSample));
  const set = compilePatches(filters);
  const listener = patchListener(set, inbound, inboundListener())!;
  // The chains of two inbound ports, each with its listener: nothing redirects on this machine's loopback.
  const onLoopback = (chainName: string, on: number): object => {
    const { filter_chains: chains } = json(ListenerSchema, listener) as { filter_chains: { name: string }[] };
    const { filter_chain_match: _match, ...chain } = chains.find(({ name }) => name === chainName) as {
      filter_chain_match?: object;
    };
    return {
      name: chainName,
      address: { socket_address: { address: "127.0.0.1", port_value: on } },
      filter_chains: [withoutDiscovered(chain)],
    };
  };
  const clusters = [8080, 7070].map((number) => {
    const name = `inbound|${number}||`;
    return { name, type: "STATIC", connect_timeout: "1s", load_assignment: endpoint(name, applicationPort) };
  });
  const content = bootstrap({
    listeners: [onLoopback("0.0.0.0_8080-http", port), onLoopback("0.0.0.0_7070-http", plainPort)],
    clusters,
  });
  const proxy = spawn(
    envoy,
    ["--disable-hot-restart", "--concurrency", "1", "-l", "error", "-c", await fileOf("traffic", content)],
    { stdio: "ignore" },
  );
  try {
    await answering(`http://127.0.0.1:${plainPort}/ready`, proxy);
    const ask = async (on: number): Promise<readonly [number, string | null, string | null]> => {
      const response = await fetch(`http://127.0.0.1:${on}/some/path`);
      await response.text();
      return [response.status, response.headers.get("x-answers"), response.headers.get("x-local-rate-limit")];
    };
    for (let count = 0; count < 4; count++) assert.equal(await ask(port), [200, "/some/path", null]);
    const [status, , limited] = await ask(port);
    assert.is(status, 429);
    assert.is(limited, "true");
    for (let count = 0; count < 6; count++) assert.equal(await ask(plainPort), [200, "/some/path", null]);
  } finally {
    proxy.kill("SIGTERM");
    application.close();
    application.closeAllConnections();
  }
});

test.after(() => rm(folder, { recursive: true, force: true }));

test.run();
