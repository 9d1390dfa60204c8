import { rmSync } from "node:fs";
import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig, type MeshConfig } from "../../../src/api/meshconfig.js";
import type { DestinationRuleSpec } from "../../../src/api/networking/destination-rule.js";
import { inboundCluster, staticClusters } from "../../../src/compile/clusters/inbound.js";
import { outboundCluster } from "../../../src/compile/clusters/outbound.js";
import { hashPolicies, tcpProxyPolicy } from "../../../src/compile/clusters/route-policy.js";
import { dependsOnProxy, loadAssignment } from "../../../src/compile/endpoints/assignment.js";
import { emptyDestinationRules, endpointsOfSubset, policyFor } from "../../../src/model/destination-rule.js";
import type { Protocol } from "../../../src/model/protocol.js";
import type { Endpoint, MeshService, Resolution } from "../../../src/model/service.js";
import { ClusterSchema } from "../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import { arbitraryDestinationRuleSpec } from "../../support/arbitrary/destination-rule.js";
import { endpoint, meshService, servicePort } from "../../support/services.js";
import { createTestAuthority } from "../support/certificates.js";
import { objectionsTo, type Proxied } from "../support/static-envoy.js";

/** Envoy itself judges what any valid DestinationRule is translated to. */
const authority = await createTestAuthority("test");
const client = await authority.issue("client", ["client.example.com"]);
const files = { certificate: client.certificateFile, key: client.keyFile, authorities: authority.certificateFile };
const secrets = { certificate: client.certificate, key: client.key, roots: authority.certificatePem };

test.after(() => rmSync(authority.folder, { recursive: true }));

const resolutions: readonly Resolution[] = ["eds", "original-destination", "dns", "dns-round-robin", "dynamic-dns"];
const protocols: readonly Protocol[] = ["http", "http2", "tcp", "auto"];

const place = fc.record({
  region: fc.constantFrom("eu", "us", ""),
  zone: fc.constantFrom("eu/a", "b", ""),
  subzone: fc.constantFrom("x", ""),
  isInMesh: fc.boolean(),
  labels: fc.constantFrom<Record<string, string>>({ version: "v1" }, { version: "v2", team: "blue" }, {}),
  nodeName: fc.constantFrom("node-1", undefined),
  serviceAccount: fc.constantFrom("reviews", undefined),
  weight: fc.integer({ min: 0, max: 5 }),
});

const situation = fc.record({
  spec: arbitraryDestinationRuleSpec(files, fc.constant("*")),
  resolution: fc.constantFrom(...resolutions),
  protocol: fc.constantFrom(...protocols),
  isExternal: fc.boolean(),
  clientAffinity: fc.boolean(),
  places: fc.array(place, { maxLength: 5 }),
  families: fc.constantFrom<readonly ("IPv4" | "IPv6")[] | undefined>(["IPv4"], ["IPv4", "IPv6"], ["IPv6"], undefined),
  mesh: fc.constantFrom<Partial<MeshConfig>>(
    {},
    { h2UpgradePolicy: "UPGRADE", tcpKeepalive: { probes: 3, time: "1.5s" } },
    { localityLbSetting: { enabled: false }, defaultTrafficPolicy: { outlierDetection: {} } },
  ),
});

const endpointsFor = (service: MeshService, places: readonly Partial<Endpoint>[]): readonly Endpoint[] =>
  places.map((fields, index) => {
    const isName = service.resolution === "dns" || service.resolution === "dns-round-robin";
    const address = isName ? `e${index}.example.com` : index === 4 ? "fd00::4" : `10.0.0.${index}`;
    return endpoint(address, 8080 + index, fields);
  });

type Situation = typeof situation extends fc.Arbitrary<infer Value> ? Value : never;

/** Every cluster of one rule for one service, as the compiler asks for them. */
const proxiedOf = (found: Situation, host: string): readonly Proxied[] => {
  const { resolution, protocol, isExternal, clientAffinity, families, places } = found;
  const mesh = { ...defaultMeshConfig, ...found.mesh } as MeshConfig & Partial<MeshConfig>;
  const service = meshService({
    host,
    resolution,
    isExternal,
    clientAffinity,
    origin: isExternal ? "ServiceEntry" : "Service",
  });
  const spec: DestinationRuleSpec = { ...found.spec, exportTo: ["*"] };
  const rules = emptyDestinationRules("prod", mesh).with(new Map([["rule", { metadata: { name: "rule" }, spec }]]));
  const rule = rules.find(host, { namespace: "prod", labels: { app: "client" } });
  const port = servicePort({ protocol });
  const all = endpointsFor(service, places);
  const subsets = resolution === "dynamic-dns" ? [] : (rule?.subsets ?? []);
  return [{ name: "", labels: undefined }, ...subsets].map(({ name: subset, labels }) => {
    const policy = policyFor(rule, port.port, subset, mesh);
    const endpoints = endpointsOfSubset(all, labels);
    const proxy = { locality: { region: "eu", zone: "eu/a", subzone: "x" }, labels: { version: "v1" } };
    const options = {
      service,
      port,
      subset,
      labels,
      policy,
      endpoints,
      mesh,
      source: rule?.sources[0],
      families,
      proxy,
    };
    const cluster = outboundCluster(options);
    assert.equal(toBinary(ClusterSchema, outboundCluster(options)), toBinary(ClusterSchema, cluster), "deterministic");
    return {
      cluster,
      ...(cluster.edsClusterConfig === undefined
        ? {}
        : {
            assignment: loadAssignment({
              clusterName: cluster.name,
              port,
              endpoints,
              policy,
              mesh,
              proxy: dependsOnProxy(policy, mesh) ? proxy : undefined,
            }),
          }),
      hashPolicies: hashPolicies(policy, service),
      ...(protocol === "tcp" ? { tcp: tcpProxyPolicy(policy, service) } : {}),
    };
  });
};

test("Envoy accepts the clusters, routes and TCP proxies of any valid rule", async () => {
  for (const seed of [1, 2]) {
    const situations = fc.sample(situation, { numRuns: 100, seed });
    const proxied = situations.flatMap((found, index) => proxiedOf(found, `h${index}.prod.svc.cluster.local`));
    assert.ok(proxied.length > 100);
    const objections = await objectionsTo(proxied, secrets);
    assert.is(objections, "", `seed ${seed}: ${objections}`);
  }
});

test("Envoy accepts inbound clusters with any pool, and the mesh's own", async () => {
  const specs = fc.sample(arbitraryDestinationRuleSpec(files), { numRuns: 60, seed: 4 });
  const inbound = specs.map(({ trafficPolicy }, index) =>
    inboundCluster({
      name: `inbound|${index}||`,
      mesh: defaultMeshConfig,
      policy: trafficPolicy,
      isTransparent: index % 2 === 0,
    }),
  );
  assert.is(
    await objectionsTo(
      [...inbound, ...staticClusters(defaultMeshConfig)].map((cluster) => ({ cluster })),
      secrets,
    ),
    "",
  );
});

test("Envoy would refuse what is wrong", async () => {
  const found = { ...fc.sample(situation, { numRuns: 1, seed: 5 })[0]!, resolution: "eds" as const };
  const trafficPolicy = { loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 4 } } } };
  const proxied = proxiedOf({ ...found, spec: { host: "*", trafficPolicy } }, "wrong.example.com");
  assert.match(await objectionsTo(proxied, secrets), /prime/);
});

test.run();
