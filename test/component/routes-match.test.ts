import { test } from "uvu";
import * as assert from "uvu/assert";
import type { HttpMatchRequest } from "../../src/api/networking/virtual-service.js";
import { type LoopbackEnvoy, startLoopbackEnvoy } from "./support/loopback-envoy.js";
import { type Call, call } from "./support/requests.js";
import { ruleListener } from "./support/rule-listener.js";

interface Case {
  readonly match: HttpMatchRequest;
  readonly hits: readonly Call[];
  readonly misses: readonly Call[];
}

const at = (path: string): Call => ({ path });
const using = (method: string): Call => ({ method });
const having = (headers: Readonly<Record<string, string>>): Call => ({ headers });

const cases: readonly Case[] = [
  { match: { uri: { exact: "/a" } }, hits: [at("/a"), at("/a?b=c")], misses: [at("/a/"), at("/A"), at("/ab")] },
  { match: { uri: { prefix: "/a" } }, hits: [at("/a"), at("/ab/c")], misses: [at("/b"), at("/A")] },
  { match: { uri: { prefix: "/a" }, ignoreUriCase: true }, hits: [at("/a"), at("/Ab")], misses: [at("/b")] },
  { match: { uri: { exact: "/a" }, ignoreUriCase: true }, hits: [at("/a"), at("/A?b")], misses: [at("/ab")] },
  {
    match: { uri: { regex: "/a[0-9]+" } },
    hits: [at("/a1"), at("/a22?b")],
    misses: [at("/a"), at("/xa1"), at("/a1b")],
  },
  { match: { uri: { prefix: "" } }, hits: [at("/"), at("/any")], misses: [] },
  { match: { method: { exact: "PUT" } }, hits: [using("PUT")], misses: [using("GET")] },
  { match: { method: { regex: "GET|PUT" } }, hits: [using("PUT"), using("GET")], misses: [using("POST")] },
  { match: { scheme: { exact: "http" } }, hits: [{}], misses: [] },
  { match: { scheme: { exact: "https" } }, hits: [], misses: [{}] },
  {
    match: { authority: { exact: "a.example" } },
    hits: [having({ host: "a.example" })],
    misses: [having({ host: "a.example:80" }), having({ host: "b.example" })],
  },
  {
    match: { authority: { prefix: "a.example" } },
    hits: [having({ host: "a.example:8080" })],
    misses: [having({ host: "b.example" })],
  },
  {
    match: { headers: { "x-a": { exact: "1" } } },
    hits: [having({ "X-A": "1" })],
    misses: [{}, having({ "x-a": "2" })],
  },
  {
    match: { headers: { "x-a": { prefix: "ab" } } },
    hits: [having({ "x-a": "abc" })],
    misses: [having({ "x-a": "a" })],
  },
  {
    match: { headers: { cookie: { regex: "^(.*?;)?(user=jason)(;.*)?$" } } },
    hits: [having({ cookie: "user=jason" }), having({ cookie: "a=b;user=jason;c=d" })],
    misses: [{}, having({ cookie: "user=jasons" })],
  },
  { match: { headers: { "x-a": {} } }, hits: [having({ "x-a": "" }), having({ "x-a": "1" })], misses: [{}] },
  { match: { headers: { "x-a": { regex: "*" } } }, hits: [having({ "x-a": "1" })], misses: [{}] },
  { match: { headers: { "x-a": { exact: "" } } }, hits: [having({ "x-a": "" })], misses: [{}, having({ "x-a": "1" })] },
  {
    match: { headers: { "x-a": { exact: "1" }, "x-b": { exact: "2" } } },
    hits: [having({ "x-a": "1", "x-b": "2" })],
    misses: [having({ "x-a": "1" }), having({ "x-b": "2" })],
  },
  { match: { withoutHeaders: { "x-a": {} } }, hits: [{}], misses: [having({ "x-a": "1" })] },
  {
    match: { withoutHeaders: { "x-a": { exact: "1" } } },
    hits: [{}, having({ "x-a": "2" })],
    misses: [having({ "x-a": "1" })],
  },
  {
    match: { withoutHeaders: { "x-a": { regex: "1.*" } } },
    hits: [{}, having({ "x-a": "2" })],
    misses: [having({ "x-a": "12" })],
  },
  {
    match: { queryParams: { v: { exact: "1" } } },
    hits: [at("/?v=1"), at("/?a=b&v=1")],
    misses: [at("/"), at("/?v=2")],
  },
  { match: { queryParams: { v: { prefix: "a" } } }, hits: [at("/?v=ab")], misses: [at("/?v=b")] },
  { match: { queryParams: { v: { regex: "\\d+" } } }, hits: [at("/?v=12")], misses: [at("/?v=1a")] },
  { match: { queryParams: { v: {} } }, hits: [at("/?v"), at("/?v=1")], misses: [at("/?w=1")] },
  {
    match: { uri: { prefix: "/a" }, method: { exact: "GET" }, queryParams: { v: { exact: "1" } } },
    hits: [at("/a?v=1")],
    misses: [at("/a"), at("/?v=1"), { path: "/a?v=1", method: "PUT" }],
  },
  { match: { port: 80 }, hits: [{}], misses: [] },
  { match: { port: 81 }, hits: [], misses: [{}] },
  { match: { sourceNamespace: "shop", sourceLabels: { app: "a" } }, hits: [{}], misses: [] },
  { match: { sourceLabels: { app: "b" } }, hits: [], misses: [{}] },
  { match: { sourceNamespace: "other" }, hits: [], misses: [{}] },
  { match: { gateways: ["mesh"], sourceNamespace: "other" }, hits: [{}], misses: [] },
];

const answering = (status: number) => ({ directResponse: { status } });

let envoy: LoopbackEnvoy;

test.before(async () => {
  envoy = await startLoopbackEnvoy({
    listeners: cases.map(({ match }, index) =>
      ruleListener(`case-${index}`, [{ match: [match], ...answering(200) }, answering(404)]),
    ),
    clusters: [],
  });
});
test.after(() => envoy?.stop());

for (const [index, { match, hits, misses }] of cases.entries())
  test(JSON.stringify(match), async () => {
    const port = envoy.port(`case-${index}`);
    for (const hit of hits) assert.is((await call(port, hit)).status, 200, `hit by ${JSON.stringify(hit)}`);
    for (const miss of misses) assert.is((await call(port, miss)).status, 404, `missed by ${JSON.stringify(miss)}`);
  });

test.run();
