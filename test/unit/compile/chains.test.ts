import { test } from "uvu";
import * as assert from "uvu/assert";
import { compileYaml, podYaml } from "../../support/compiled.js";

const entry = (name: string, hosts: readonly string[], port: object, addresses: readonly string[] = []): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata: { name, namespace: "shop" },
    spec: { hosts, addresses, ports: [port], resolution: addresses.length === 0 ? "DNS" : "NONE" },
  });

const rule = (hosts: readonly string[], spec: object): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "rule", namespace: "shop" },
    spec: { hosts, ...spec },
  });

const chainsOf = (listener: string, ...documents: readonly string[]): readonly string[] => {
  const compiled = compileYaml([podYaml("client", "shop"), ...documents].join("\n---\n"), "shop/client");
  return compiled.listeners.get(listener)!.filterChains.flatMap(({ filterChainMatch: match }) => {
    const names = match?.serverNames.length ? match.serverNames : [""];
    const ranges = match?.prefixRanges.length
      ? match.prefixRanges.map((range) => `${range.addressPrefix}/${range.prefixLen}`)
      : [""];
    return names.flatMap((name) => ranges.map((range) => `${match?.transportProtocol} ${name} ${range}`));
  });
};

const tls = { number: 443, name: "tls", protocol: "TLS" };
const tcp = { number: 9000, name: "tcp", protocol: "TCP" };

test("a rule on several server names and the services of these names match none of them twice", () => {
  const hosts = ["a.example.com", "b.example.com"];
  const route = [{ destination: { host: "a.example.com" } }];
  const chains = chainsOf(
    "0.0.0.0_443",
    entry("ext", hosts, tls),
    rule(hosts, { tls: [{ match: [{ sniHosts: hosts, port: 443 }], route }] }),
  );
  assert.equal([...chains].sort(), ["tls a.example.com ", "tls b.example.com "]);
});

test("services that share some of their address ranges match none of them twice", () => {
  const chains = chainsOf(
    "0.0.0.0_9000",
    entry("one", ["one.example.com"], tcp, ["10.1.0.0/16", "10.2.0.0/16"]),
    entry("two", ["two.example.com"], tcp, ["10.2.0.0/16", "10.3.0.0/16"]),
  );
  assert.equal(
    [...chains].sort(),
    [" 10.1.0.0/16", " 10.2.0.0/16", " 10.3.0.0/16"].map((chain) => ` ${chain}`),
  );
});

test("a Service on the proxy's own ports takes them from nobody, and does not make the proxy call itself", () => {
  const ports = [15001, 15006, 15021, 80].map((port) => ({ name: `http-${port}`, port, targetPort: port }));
  const service = JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "own", namespace: "shop" },
    spec: { clusterIP: "10.96.0.1", selector: { app: "own" }, ports },
  });
  const pod = podYaml("client", "shop", { labels: { app: "own" } });
  const { listeners } = compileYaml([pod, service].join("\n---\n"), "shop/client");
  assert.equal([...listeners.keys()].sort(), ["0.0.0.0_80", "virtualInbound", "virtualOutbound"]);
  const served = listeners
    .get("virtualInbound")!
    .filterChains.flatMap(({ filterChainMatch }) => filterChainMatch?.destinationPort ?? []);
  assert.equal([...new Set(served)].sort(), [15006, 80]);
  assert.is(served.filter((port) => port === 15006).length, 1, "only the chain that refuses");
});

test.run();
