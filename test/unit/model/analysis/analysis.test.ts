import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Code, codes } from "../../../../src/model/analysis/codes.ts";
import { rows as policyRows } from "./policy-rows.ts";
import { rows as routingRows } from "./routing-rows.ts";
import {
  all,
  destinationRule,
  envoyFilter,
  external,
  newer,
  older,
  peerAuthentication,
  reportsOf,
  routedTo,
  service,
  sidecar,
  subsets,
  toReviews,
  virtualService,
} from "./support.ts";

const rows = [...routingRows, ...policyRows];

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
    [
      "HDL0401",
      peerAuthentication("a", "{selector: {matchLabels: {app: none}}, mtls: {mode: STRICT}}"),
      /selects no pod/,
    ],
    [
      "HDL0406",
      all(
        peerAuthentication("a", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}", older),
        peerAuthentication("b", "{selector: {matchLabels: {version: v1}}, mtls: {mode: DISABLE}}", newer),
      ),
      /Deployment reviews: PeerAuthentication prod\/a selects the same/,
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

test("what a resource's own check tells too is told once, by the code that says more", () => {
  const same = "match: [{uri: {prefix: /a}}]";
  const told = reportsOf(
    virtualService(
      "a",
      `{hosts: [reviews], http: [{${same}, ${toReviews}}, {${same}, route: [{destination: {host: reviews}, weight: 1}, {destination: {host: reviews}, weight: 2}]}]}`,
    ),
  );
  assert.equal(
    told.map(({ code, path }) => `${code} ${path}`),
    ["HDL0113 spec.http[1].route", "HDL0111 spec.http[1]"],
  );
});

test.run();
