import { test } from "uvu";
import * as assert from "uvu/assert";
import { collect } from "../../../src/cli/analyze/collect.ts";
import { readDocumentsOf } from "../../../src/cli/analyze/documents.ts";
import { type Code, codes } from "../../../src/model/analysis/codes.ts";

/**
 * One row a code: resources that earn it, the field that it names, and how the message goes on; then the same with the
 * fault mended. Rows share a base of services and pods.
 */
interface Row {
  readonly code: Code;
  readonly bad: string;
  /** `kind namespace/name path` */
  readonly where: string;
  readonly message: RegExp;
  readonly good: string;
}

const base = `
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

const of =
  (kind: string, version = "networking.istio.io/v1") =>
  (name: string, spec: string, metadata = ""): string =>
    `{apiVersion: ${version}, kind: ${kind}, metadata: {namespace: prod, name: ${name}${metadata === "" ? "" : `, ${metadata}`}}, spec: ${spec}}`;
const virtualService = of("VirtualService");
const destinationRule = of("DestinationRule");
const serviceEntry = of("ServiceEntry");
const sidecar = of("Sidecar");
const envoyFilter = of("EnvoyFilter", "networking.istio.io/v1alpha3");
const service = of("Service", "v1");
const all = (...documents: readonly string[]): string => documents.join("\n---\n");

const older = 'creationTimestamp: "2024-01-01T00:00:00Z"';
const newer = 'creationTimestamp: "2025-01-01T00:00:00Z"';
const toReviews = "route: [{destination: {host: reviews}}]";
const simple = `{hosts: [reviews], http: [{${toReviews}}]}`;
const routedTo = (destination: string): string =>
  virtualService("a", `{hosts: [reviews], http: [{route: [{destination: ${destination}}]}]}`);
const subsets = destinationRule("reviews", "{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}");
const external = (name: string, fields: string, metadata = ""): string =>
  serviceEntry(name, `{location: MESH_EXTERNAL, resolution: DNS, ${fields}}`, metadata);
const pod = (status: string, labels = "app: reviews, version: v1"): string =>
  `{apiVersion: v1, kind: Pod, metadata: {name: reviews-1, namespace: prod, labels: {${labels}}}, spec: {containers: [{name: a}]}, status: {${status}}}`;
const delegate = virtualService("part", `{http: [{${toReviews}}]}`);
const delegating = (name: string): string => `{hosts: [reviews], http: [{delegate: {name: ${name}}}]}`;

const rows: readonly Row[] = [
  {
    code: "HDL0001",
    bad: virtualService("a", "{hosts: [reviews], http: [{timeout: soon, route: [{destination: {host: reviews}}]}]}"),
    where: "VirtualService prod/a spec.http[0].timeout",
    message: /"soon"/,
    good: virtualService("a", "{hosts: [reviews], http: [{timeout: 1s, route: [{destination: {host: reviews}}]}]}"),
  },
  {
    code: "HDL0002",
    bad: destinationRule("reviews", "{host: reviews, subsets: [{name: v1}]}"),
    where: "DestinationRule prod/reviews spec.subsets[0].labels",
    message: /./,
    good: subsets,
  },
  {
    code: "HDL0003",
    bad: "kind: [",
    where: "",
    message: /./,
    good: "kind: []",
  },
  {
    code: "HDL0004",
    bad: all(virtualService("a", simple), virtualService("a", simple)),
    where: "VirtualService prod/a metadata.name",
    message: /is in test\.yaml, line \d+, too/,
    good: virtualService("a", simple),
  },
  {
    code: "HDL0101",
    bad: routedTo("{host: review}"),
    where: "VirtualService prod/a spec.http[0].route[0].destination.host",
    message: /"review" \(review\.prod\.svc\.cluster\.local\): no Service and no ServiceEntry/,
    good: routedTo("{host: reviews}"),
  },
  {
    code: "HDL0102",
    bad: routedTo("{host: reviews.prod}"),
    where: "VirtualService prod/a spec.http[0].route[0].destination.host",
    message: /write reviews\.prod\.svc\.cluster\.local$/,
    good: routedTo("{host: reviews.prod.svc.cluster.local}"),
  },
  {
    code: "HDL0103",
    bad: all(routedTo("{host: reviews, subset: v2}"), subsets),
    where: "VirtualService prod/a spec.http[0].route[0].destination.subset",
    message: /"v2": DestinationRule prod\/reviews defines v1; add it there/,
    good: all(routedTo("{host: reviews, subset: v1}"), subsets),
  },
  {
    code: "HDL0104",
    bad: routedTo("{host: reviews, port: {number: 8080}}"),
    where: "VirtualService prod/a spec.http[0].route[0].destination.port.number",
    message: /8080: reviews\.prod\.svc\.cluster\.local has the ports 80;/,
    good: routedTo("{host: reviews, port: {number: 80}}"),
  },
  {
    code: "HDL0105",
    bad: all(
      routedTo("{host: api.example.com}"),
      "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {namespace: shop, name: api}, spec: {hosts: [api.example.com], resolution: DNS, ports: [{name: http, number: 80, protocol: HTTP}], exportTo: [.]}}",
    ),
    where: "VirtualService prod/a spec.http[0].route[0].destination.host",
    message: /ServiceEntry shop\/api is not exported to namespace prod, only to shop/,
    good: all(
      routedTo("{host: api.example.com}"),
      "{apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {namespace: shop, name: api}, spec: {hosts: [api.example.com], resolution: DNS, ports: [{name: http, number: 80, protocol: HTTP}]}}",
    ),
  },
  {
    code: "HDL0106",
    bad: virtualService("a", `{hosts: [review], http: [{${toReviews}}]}`),
    where: "VirtualService prod/a spec.hosts[0]",
    message: /no Service and no ServiceEntry has this host/,
    good: virtualService("a", simple),
  },
  {
    code: "HDL0107",
    bad: virtualService("a", `{hosts: [reviews], http: [{match: [{port: 8080}], ${toReviews}}, {${toReviews}}]}`),
    where: "VirtualService prod/a spec.http[0].match[0].port",
    message: /8080: the service has the ports 80;/,
    good: virtualService("a", `{hosts: [reviews], http: [{match: [{port: 80}], ${toReviews}}, {${toReviews}}]}`),
  },
  {
    code: "HDL0110",
    bad: all(virtualService("a", simple, newer), virtualService("b", simple, older)),
    where: "VirtualService prod/a spec.hosts[0]",
    message: /VirtualService prod\/b owns reviews\.prod\.svc\.cluster\.local/,
    good: all(
      virtualService("a", simple),
      virtualService("b", "{hosts: [db], tcp: [{route: [{destination: {host: db}}]}]}"),
    ),
  },
  {
    code: "HDL0111",
    bad: virtualService(
      "a",
      `{hosts: [reviews], http: [{match: [{uri: {prefix: /api}}], ${toReviews}}, {match: [{uri: {exact: /api/v2}, method: {exact: GET}}], ${toReviews}}]}`,
    ),
    where: "VirtualService prod/a spec.http[1]",
    message: /never reached: spec\.http\[0\]\.match\[0\] takes all/,
    good: virtualService(
      "a",
      `{hosts: [reviews], http: [{match: [{uri: {exact: /api/v2}, method: {exact: GET}}], ${toReviews}}, {match: [{uri: {prefix: /api}}], ${toReviews}}]}`,
    ),
  },
  {
    code: "HDL0112",
    bad: virtualService(
      "a",
      `{hosts: [reviews], http: [{match: [{uri: {prefix: /a}}, {uri: {exact: /ab}}], ${toReviews}}]}`,
    ),
    where: "VirtualService prod/a spec.http[0].match[1]",
    message: /has no effect: spec\.http\[0\]\.match\[0\] takes all/,
    good: virtualService(
      "a",
      `{hosts: [reviews], http: [{match: [{uri: {prefix: /a}}, {uri: {exact: /b}}], ${toReviews}}]}`,
    ),
  },
  {
    code: "HDL0113",
    bad: virtualService(
      "a",
      "{hosts: [reviews], http: [{route: [{destination: {host: reviews}, weight: 90}, {destination: {host: reviews, port: {number: 80}}, weight: 20}]}]}",
    ),
    where: "VirtualService prod/a spec.http[0].route",
    message: /the weights 90, 20 add to 110/,
    good: virtualService(
      "a",
      "{hosts: [reviews], http: [{route: [{destination: {host: reviews}, weight: 80}, {destination: {host: reviews, port: {number: 80}}, weight: 20}]}]}",
    ),
  },
  {
    code: "HDL0114",
    bad: virtualService("a", "{hosts: [db], http: [{route: [{destination: {host: db}}]}]}"),
    where: "VirtualService prod/a spec.http",
    message: /no port of the service is HTTP \(tcp-db 5432\)/,
    good: virtualService("a", "{hosts: [db], tcp: [{route: [{destination: {host: db}}]}]}"),
  },
  {
    code: "HDL0115",
    bad: virtualService("a", `{hosts: [shop.example.com], gateways: [shop/front], http: [{${toReviews}}]}`),
    where: "VirtualService prod/a spec.gateways[0]",
    message: /there is no Gateway shop\/front/,
    good: all(
      virtualService("a", `{hosts: [shop.example.com], gateways: [shop/front], http: [{${toReviews}}]}`),
      "{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {namespace: shop, name: front}, spec: {}}",
    ),
  },
  {
    code: "HDL0116",
    bad: all(virtualService("a", delegating("part")), virtualService("other", simple.replace("reviews]", "db]"))),
    where: "VirtualService prod/a spec.http[0].delegate",
    message: /"prod\/part": there is no such VirtualService/,
    good: all(virtualService("a", delegating("part")), delegate),
  },
  {
    code: "HDL0117",
    bad: all(
      virtualService("a", delegating("part")),
      virtualService("part", `{exportTo: [shop], http: [{${toReviews}}]}`),
    ),
    where: "VirtualService prod/a spec.http[0].delegate",
    message: /is exported to shop, not to namespace prod/,
    good: all(virtualService("a", delegating("part")), delegate),
  },
  {
    code: "HDL0118",
    bad: all(
      virtualService(
        "a",
        "{hosts: [reviews], http: [{match: [{uri: {prefix: /a}}], delegate: {name: part}}, {match: [{uri: {prefix: /b}}], delegate: {name: part}}]}",
      ),
      delegate,
    ),
    where: "VirtualService prod/a spec.http[0].delegate",
    message: /is named by prod\/a spec\.http\[1\] too/,
    good: all(virtualService("a", delegating("part")), delegate),
  },
  {
    code: "HDL0119",
    bad: delegate,
    where: "VirtualService prod/part spec.hosts",
    message: /no VirtualService names it/,
    good: all(virtualService("a", delegating("part")), delegate),
  },
  {
    code: "HDL0120",
    bad: all(virtualService("a", delegating("part")), virtualService("part", `{hosts: [db], http: [{${toReviews}}]}`)),
    where: "VirtualService prod/a spec.http[0].delegate",
    message: /has hosts or gateways of its own/,
    good: all(virtualService("a", delegating("part")), delegate),
  },
  {
    code: "HDL0201",
    bad: destinationRule("a", "{host: review}"),
    where: "DestinationRule prod/a spec.host",
    message: /no Service and no ServiceEntry has this host/,
    good: destinationRule("a", "{host: reviews}"),
  },
  {
    code: "HDL0202",
    bad: all(
      subsets,
      "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {namespace: istio-system, name: default}, spec: {host: '*.cluster.local', trafficPolicy: {connectionPool: {tcp: {maxConnections: 10}}}}}",
    ),
    where: "DestinationRule prod/reviews spec.host",
    message: /DestinationRule istio-system\/default \(\*\.cluster\.local\) no longer holds here.*: connectionPool;/,
    good: all(
      destinationRule("reviews", "{host: reviews, trafficPolicy: {connectionPool: {tcp: {maxConnections: 20}}}}"),
      "{apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {namespace: istio-system, name: default}, spec: {host: '*.cluster.local', trafficPolicy: {connectionPool: {tcp: {maxConnections: 10}}}}}",
    ),
  },
  {
    code: "HDL0203",
    bad: all(
      destinationRule("a", "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}}", older),
      destinationRule("b", "{host: reviews, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}", newer),
    ),
    where: "DestinationRule prod/b spec.trafficPolicy",
    message: /DestinationRule prod\/a for the same host comes first/,
    good: all(
      destinationRule("a", "{host: reviews, trafficPolicy: {loadBalancer: {simple: RANDOM}}}", older),
      destinationRule("b", "{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}", newer),
    ),
  },
  {
    code: "HDL0204",
    bad: destinationRule("reviews", "{host: reviews, subsets: [{name: v2, labels: {version: v2}}]}"),
    where: "DestinationRule prod/reviews spec.subsets[0].labels",
    message: /"version=v2": none of the 1 endpoints/,
    good: subsets,
  },
  {
    code: "HDL0205",
    bad: destinationRule("db", "{host: db, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
    where: "DestinationRule prod/db spec.trafficPolicy.tls.mode",
    message: /Deployment db of db\.prod\.svc\.cluster\.local without a sidecar/,
    good: destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}"),
  },
  {
    code: "HDL0206",
    bad: destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: DISABLE}}}"),
    where: "DestinationRule prod/reviews spec.trafficPolicy.tls.mode",
    message: /goes in plaintext/,
    good: destinationRule("db", "{host: db, trafficPolicy: {tls: {mode: DISABLE}}}"),
  },
  {
    code: "HDL0207",
    bad: destinationRule("reviews", "{host: reviews, trafficPolicy: {tls: {mode: SIMPLE}}}"),
    where: "DestinationRule prod/reviews spec.trafficPolicy.tls.mode",
    message: /port 80 of reviews\.prod\.svc\.cluster\.local is in the mesh/,
    good: destinationRule("db", "{host: db, trafficPolicy: {tls: {mode: SIMPLE}}}"),
  },
  {
    code: "HDL0301",
    bad: all(
      external("a", "hosts: [a.example.com], ports: [{name: tcp, number: 3306, protocol: TCP}]", older),
      external("b", "hosts: [b.example.com], ports: [{name: tcp, number: 3306, protocol: TCP}]", newer),
    ),
    where: "ServiceEntry prod/b spec.ports[0].number",
    message: /ServiceEntry prod\/a takes it first/,
    good: all(
      external("a", "hosts: [a.example.com], ports: [{name: tcp, number: 3306, protocol: TCP}]", older),
      external(
        "b",
        "hosts: [b.example.com], addresses: [10.9.9.9], ports: [{name: tcp, number: 3306, protocol: TCP}]",
        newer,
      ),
    ),
  },
  {
    code: "HDL0302",
    bad: all(
      external("a", "hosts: [a.example.com], ports: [{name: http, number: 80, protocol: HTTP}]", older),
      external("b", "hosts: [A.example.com], ports: [{name: http, number: 80, protocol: HTTP}]", newer),
    ),
    where: "ServiceEntry prod/b spec.hosts[0]",
    message: /ServiceEntry prod\/a defines it too and comes first/,
    good: all(
      external("a", "hosts: [a.example.com], ports: [{name: http, number: 80, protocol: HTTP}]", older),
      external("b", "hosts: [b.example.com], ports: [{name: http, number: 80, protocol: HTTP}]", newer),
    ),
  },
  {
    code: "HDL0303",
    bad: external("a", "hosts: [reviews.prod.svc.cluster.local], ports: [{name: http, number: 80, protocol: HTTP}]"),
    where: "ServiceEntry prod/a spec.hosts[0]",
    message: /is the host of Service prod\/reviews too/,
    good: external("a", "hosts: [reviews.example.com], ports: [{name: http, number: 80, protocol: HTTP}]"),
  },
  {
    code: "HDL0401",
    bad: sidecar("a", "{workloadSelector: {labels: {app: review}}, egress: [{hosts: ['./*']}]}"),
    where: "Sidecar prod/a spec.workloadSelector.labels",
    message: /"app=review" selects no pod of namespace prod/,
    good: sidecar("a", "{workloadSelector: {labels: {app: reviews}}, egress: [{hosts: ['./*']}]}"),
  },
  {
    code: "HDL0402",
    bad: all(
      sidecar("a", "{workloadSelector: {labels: {app: reviews}}, egress: [{hosts: ['./*']}]}", older),
      sidecar("b", "{workloadSelector: {labels: {version: v1}}, egress: [{hosts: ['./*']}]}", newer),
    ),
    where: "Sidecar prod/b spec.workloadSelector.labels",
    message: /Deployment reviews: Sidecar prod\/a selects the same/,
    good: all(
      sidecar("a", "{workloadSelector: {labels: {app: reviews}}, egress: [{hosts: ['./*']}]}", older),
      sidecar("b", "{workloadSelector: {labels: {app: db}}, egress: [{hosts: ['./*']}]}", newer),
    ),
  },
  {
    code: "HDL0403",
    bad: sidecar("a", "{egress: [{hosts: ['./*', 'prod/reviews']}]}"),
    where: "Sidecar prod/a spec.egress[0].hosts[1]",
    message: /write prod\/reviews\.prod\.svc\.cluster\.local$/,
    good: sidecar("a", "{egress: [{hosts: ['./*', 'prod/reviews.prod.svc.cluster.local', '*/*.cluster.local']}]}"),
  },
  {
    code: "HDL0404",
    bad: virtualService("a", `{hosts: [reviews], exportTo: [., shops], http: [{${toReviews}}]}`),
    where: "VirtualService prod/a spec.exportTo[1]",
    message: /"shops": there is no such namespace/,
    good: virtualService("a", `{hosts: [reviews], exportTo: [., shop], http: [{${toReviews}}]}`),
  },
  {
    code: "HDL0501",
    bad: service("web", "{selector: {app: other}, ports: [{name: web, port: 80}]}"),
    where: "Service prod/web spec.ports[0].name",
    message: /port 80 \("web"\) declares no protocol/,
    good: service(
      "web",
      "{selector: {app: other}, ports: [{name: http-web, port: 80}, {name: dns, port: 53, protocol: UDP}]}",
    ),
  },
  {
    code: "HDL0502",
    bad: service("web", "{selector: {app: other}, ports: [{name: tcp-web, port: 80, appProtocol: http}]}"),
    where: "Service prod/web spec.ports[0].appProtocol",
    message: /"http" is http, and the name "tcp-web" says tcp/,
    good: service("web", "{selector: {app: other}, ports: [{name: http-web, port: 80, appProtocol: http}]}"),
  },
  {
    code: "HDL0503",
    bad: service("web", "{selector: {app: reviews}, ports: [{name: tcp, port: 81, targetPort: web}]}"),
    where: "Service prod/web spec.ports[0]",
    message: /port 8080 of Deployment reviews is tcp here and http in Service prod\/reviews/,
    good: service("web", "{selector: {app: reviews}, ports: [{name: http, port: 81, targetPort: web}]}"),
  },
  {
    code: "HDL0504",
    bad: pod("phase: Running"),
    where: "Pod prod/reviews-1 spec.containers",
    message: /there is no istio-proxy, though namespace prod asks for sidecars/,
    good: pod("phase: Running", 'app: reviews, version: v1, "security.istio.io/tlsMode": istio'),
  },
];

const reportsOf = (yaml: string) => {
  const { objects, unreadable } = readDocumentsOf(`${base}---\n${yaml}`, "test.yaml", "default");
  return collect(objects, unreadable).reports;
};

for (const { code, bad, where, message, good } of rows) {
  test(`${code} ${codes[code].name} is told where it is and only there`, () => {
    const told = reportsOf(bad);
    const own = told.filter((report) => report.code === code);
    const places = own.map(({ kind, namespace, name, path }) => `${kind} ${namespace}/${name} ${path}`);
    if (where !== "") assert.ok(places.includes(where), `${where} is not among ${JSON.stringify(told, null, 1)}`);
    assert.ok(
      own.some((report) => message.test(report.message)),
      JSON.stringify(own),
    );
    for (const report of own) assert.is(report.location?.file, "test.yaml");
    const after = reportsOf(good);
    assert.equal(
      after.filter((report) => report.code === code),
      [],
    );
    assert.equal(
      after.filter(({ level }) => level === "error"),
      [],
      "the good example has no other error",
    );
  });
}

test("every code has its row", () => {
  assert.equal(rows.map(({ code }) => code).sort(), Object.keys(codes).sort());
});

test("more of the same: what else earns a code", () => {
  const more: readonly (readonly [Code, string, RegExp])[] = [
    ["HDL0101", virtualService("a", `{hosts: [reviews], http: [{mirror: {host: nobody}, ${toReviews}}]}`), /"nobody"/],
    ["HDL0101", virtualService("a", "{hosts: [db], tcp: [{route: [{destination: {host: nobody}}]}]}"), /"nobody"/],
    ["HDL0103", routedTo("{host: reviews, subset: v2}"), /has no DestinationRule; add one/],
    [
      "HDL0106",
      virtualService("a", `{hosts: ["*.nowhere.com"], http: [{${toReviews}}]}`),
      /no host of the mesh is under it/,
    ],
    ["HDL0201", destinationRule("a", "{host: '*.nowhere.com'}"), /no host of the mesh is under it/],
    [
      "HDL0203",
      all(subsets, destinationRule("z", "{host: reviews, subsets: [{name: v1, labels: {version: v1}}]}")),
      /"v1" is defined by DestinationRule prod\/reviews/,
    ],
    ["HDL0203", all(subsets, destinationRule("z", "{host: reviews, exportTo: [.]}")), /so the two are not merged/],
    [
      "HDL0205",
      all(
        external("a", "hosts: [a.example.com], ports: [{name: http, number: 80, protocol: HTTP}]"),
        destinationRule(
          "a",
          "{host: a.example.com, trafficPolicy: {portLevelSettings: [{port: {number: 80}, tls: {mode: ISTIO_MUTUAL}}]}}",
        ),
      ),
      /is outside the mesh/,
    ],
    ["HDL0401", envoyFilter("a", "{workloadSelector: {labels: {app: nothing}}, configPatches: []}"), /selects no pod/],
    [
      "HDL0402",
      all(sidecar("a", "{egress: [{hosts: ['./*']}]}", older), sidecar("b", "{egress: [{hosts: ['*/*']}]}", newer)),
      /Sidecar prod\/a without one is taken/,
    ],
    [
      "HDL0502",
      service("web", "{selector: {app: other}, ports: [{name: http, port: 80, protocol: UDP}]}"),
      /the port is UDP/,
    ],
  ];
  for (const [code, yaml, message] of more) {
    const own = reportsOf(yaml).filter((report) => report.code === code);
    assert.ok(
      own.some((report) => message.test(report.message)),
      `${code} ${message}: ${JSON.stringify(own)}`,
    );
  }
});

test.run();
