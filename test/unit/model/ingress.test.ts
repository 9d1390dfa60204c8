import { test } from "uvu";
import * as assert from "uvu/assert";
import type { SidecarIngressListener } from "../../../src/api/networking/sidecar.js";
import { type IngressPort, ingressOf } from "../../../src/model/ingress.js";

const port = { number: 9080, protocol: "HTTP", name: "http" };
const portsOf = (listener: SidecarIngressListener, isRedirected = true) =>
  ingressOf({ metadata: { name: "s" }, spec: { ingress: [listener] } }, "10.0.0.9", isRedirected)?.[0];

const cases: readonly (readonly [string, SidecarIngressListener, boolean, Partial<IngressPort>])[] = [
  ["nothing but a port", { port }, true, { protocol: "http", bind: undefined, endpoint: undefined }],
  [
    "the application on loopback",
    { port, defaultEndpoint: "127.0.0.1:8080" },
    true,
    { bind: undefined, endpoint: { address: "127.0.0.1", port: 8080 } },
  ],
  [
    "the application on the pod's address",
    { port, defaultEndpoint: "0.0.0.0:8080" },
    true,
    { endpoint: { address: "10.0.0.9", port: 8080 } },
  ],
  ["IPv6", { port, defaultEndpoint: "[::1]:8080" }, true, { endpoint: { address: "::1", port: 8080 } }],
  ["a socket", { port, defaultEndpoint: "unix:///run/app" }, true, { endpoint: "unix:///run/app" }],
  [
    "a listener of its own",
    { port, captureMode: "NONE", bind: "10.0.0.7" },
    true,
    { bind: "10.0.0.7", endpoint: { address: "127.0.0.1", port: 9080 } },
  ],
  ["nothing redirected", { port }, false, { bind: "10.0.0.9", endpoint: { address: "127.0.0.1", port: 9080 } }],
  ["no protocol", { port: { number: 9080 } }, true, { protocol: "auto" }],
];
for (const [name, listener, isRedirected, expected] of cases)
  test(`ingress: ${name}`, () => {
    assert.equal({ ...portsOf(listener, isRedirected), ...expected }, portsOf(listener, isRedirected));
  });

test("a Sidecar without ingress leaves the ports to services", () => {
  assert.is(
    ingressOf({ metadata: { name: "s" }, spec: { egress: [{ hosts: ["*/*"] }] } }, "10.0.0.9", true),
    undefined,
  );
  assert.is(ingressOf(undefined, "10.0.0.9", true), undefined);
});

test.run();
