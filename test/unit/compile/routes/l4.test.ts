import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TcpRoute, TlsRoute, VirtualServiceSpec } from "../../../../src/api/networking/virtual-service.js";
import { cidrKey, cidrRange } from "../../../../src/compile/routes/cidr.js";
import { type L4Route, tcpRoutes, tlsRoutes } from "../../../../src/compile/routes/l4.js";
import { arbitraryVirtualService } from "../../../support/arbitrary/virtual-service.js";
import { resolved, sidecarContext } from "../../../support/routing.js";

const to = (subset: string, weight?: number) => ({
  destination: { host: "db", subset },
  ...(weight === undefined ? {} : { weight }),
});
const rule = (spec: Partial<VirtualServiceSpec>) =>
  resolved({ metadata: { name: "rules", namespace: "shop" }, spec: { hosts: ["db"], ...spec } });

/** Server names, ranges and subsets with their weights, as one line. */
const shown = ({ match, clusters }: L4Route): string =>
  [
    ...(match.serverNames ?? []),
    ...(match.prefixRanges ?? []).map(({ addressPrefix, prefixLen }) => `${addressPrefix}/${prefixLen}`),
    "->",
    ...clusters.map(({ name, weight }) => `${name.split("|")[2]}:${weight}`),
  ].join(" ");

const tcp = (routes: TcpRoute[]) => tcpRoutes(rule({ tcp: routes }), sidecarContext).map(shown);
const tls = (routes: TlsRoute[]) => tlsRoutes(rule({ tls: routes }), sidecarContext).map(shown);

test("TCP rules, in order, up to the first that takes every connection", () => {
  assert.equal(tcp([{ route: [to("a")] }, { route: [to("b")] }]), ["-> a:1"]);
  assert.equal(tcp([{ route: [to("a", 3), to("b", 0), to("c", 1)] }]), ["-> a:3 c:1"]);
  assert.equal(tcp([{ route: [to("a", 0)] }]), ["-> a:1"], "a single one takes all");
  assert.equal(
    tcp([
      { match: [{ destinationSubnets: ["10.0.0.0/8"] }, { destinationSubnets: ["10.1.2.3"] }], route: [to("a")] },
      { match: [{ destinationSubnets: ["10.9.9.9/8", "11.0.0.0/8"] }], route: [to("b")] },
      { match: [{ destinationSubnets: ["10.255.0.0/8"] }], route: [to("c")] },
      { match: [{ port: 80 }], route: [to("d")] },
      { route: [to("e")] },
    ]),
    ["10.0.0.0/8 10.1.2.3/32 -> a:1", "11.0.0.0/8 -> b:1", "-> d:1"],
  );
});

test("TCP rules for other clients, ports and gateways are left out; all has to hold", () => {
  const others: readonly NonNullable<TcpRoute["match"]>[number][] = [
    { port: 81 },
    { sourceLabels: { app: "b" } },
    { sourceNamespace: "other" },
    { gateways: ["gw"] },
    { gateways: ["mesh"], sourceLabels: { app: "b" } },
  ];
  for (const match of others)
    assert.equal(tcp([{ match: [match], route: [to("a")] }, { route: [to("b")] }]), ["-> b:1"], JSON.stringify(match));
});

test("TLS rules: the first keeps a name and range", () => {
  assert.equal(
    tls([
      { match: [{ sniHosts: ["a.com", "*.b.com"] }], route: [to("a")] },
      { match: [{ sniHosts: ["c.com", "a.com"] }], route: [to("b")] },
      { match: [{ sniHosts: ["a.com"] }], route: [to("c")] },
      { match: [{ sniHosts: ["a.com", "d.com"], destinationSubnets: ["10.0.0.0/8"] }], route: [to("d")] },
      { match: [{ sniHosts: ["d.com", "e.com"], destinationSubnets: ["10.1.0.0/8", "11.0.0.0/8"] }], route: [to("e")] },
      { match: [{ sniHosts: ["f.com"], port: 81 }], route: [to("f")] },
    ]),
    [
      "a.com *.b.com -> a:1",
      "c.com -> b:1",
      "a.com d.com 10.0.0.0/8 -> d:1",
      "d.com 11.0.0.0/8 -> e:1",
      "e.com 10.0.0.0/8 11.0.0.0/8 -> e:1",
    ],
  );
});

test("a range has one text, whatever it was written as", () => {
  for (const [text, key] of [
    ["10.1.2.3", "10.1.2.3/32"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["255.255.255.255/31", "255.255.255.254/31"],
    ["2001:DB8::1/32", "2001:db8:0:0:0:0:0:0/32"],
    ["2001:db8:0:0::/32", "2001:db8:0:0:0:0:0:0/32"],
    ["::", "0:0:0:0:0:0:0:0/128"],
    ["1::", "1:0:0:0:0:0:0:0/128"],
    ["::1", "0:0:0:0:0:0:0:1/128"],
    ["::ffff:1.2.3.4", "0:0:0:0:0:ffff:102:304/128"],
    ["1:2:3:4:5:6:7:8/124", "1:2:3:4:5:6:7:0/124"],
    ["1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a/128"],
    ["::/0", "0:0:0:0:0:0:0:0/0"],
  ] as const) {
    assert.is(cidrKey(text), key, text);
    assert.is(cidrKey(key), key);
  }
  assert.equal(cidrRange("10.0.0.0/8"), { addressPrefix: "10.0.0.0", prefixLen: 8 });
});

test("no two chains of any VirtualService match by the same words", () => {
  fc.assert(
    fc.property(arbitraryVirtualService, (object) => {
      const resolvedRule = resolved(object);
      for (const routes of [tlsRoutes(resolvedRule, sidecarContext), tcpRoutes(resolvedRule, sidecarContext)]) {
        const pairs = routes.flatMap(({ match }) =>
          (match.serverNames ?? [""]).flatMap((name) =>
            (match.prefixRanges ?? [{ addressPrefix: "", prefixLen: 0 }]).map(
              ({ addressPrefix, prefixLen }) => `${name} ${addressPrefix}/${prefixLen}`,
            ),
          ),
        );
        assert.is(new Set(pairs).size, pairs.length, pairs.join("; "));
      }
    }),
    { numRuns: 300 },
  );
});

test.run();
