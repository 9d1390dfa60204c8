import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import { attributes, tagValueOf } from "../../../src/api/telemetry/tag-value.js";
import { labelsOf } from "../../../src/compile/telemetry/labels.js";
import { connectionLogs, requestLogs } from "../../../src/compile/telemetry/logs.js";
import { workloadUnits } from "../../../src/compile/telemetry/peer.js";
import { tagFormat } from "../../../src/compile/telemetry/tag-format.js";
import { standardTelemetry } from "../../../src/model/telemetry.js";

/** Of Istio's documentation of its standard metrics, but for what is of HTTP or gRPC alone. */
const documented = [
  "connection_security_policy",
  "destination_app",
  "destination_canonical_revision",
  "destination_canonical_service",
  "destination_cluster",
  "destination_principal",
  "destination_service",
  "destination_service_name",
  "destination_service_namespace",
  "destination_version",
  "destination_workload",
  "destination_workload_namespace",
  "reporter",
  "request_protocol",
  "response_flags",
  "source_app",
  "source_canonical_revision",
  "source_canonical_service",
  "source_cluster",
  "source_principal",
  "source_version",
  "source_workload",
  "source_workload_namespace",
];

for (const side of ["client", "server"] as const)
  for (const security of ["mtls", "plaintext"] as const)
    test(`the labels of a ${side} in ${security} are Istio's`, () => {
      const names = (protocol: "http" | "grpc" | "tcp") => Object.keys(labelsOf(side, security, protocol)).sort();
      assert.equal(names("tcp"), documented);
      assert.equal(names("http"), [...documented, "response_code"].sort());
      assert.equal(names("grpc"), [...documented, "response_code", "grpc_response_status"].sort());
    });

test("nothing that a caller in plaintext sends is in the labels of the server", () => {
  const formats = Object.values(labelsOf("server", "plaintext", "http")).join();
  assert.not.match(formats, /REQ\(|DOWNSTREAM|FILTER_STATE|DYNAMIC_METADATA/);
});

const podOf = (labels: Readonly<Record<string, string>>) => ({ metadata: { name: "a", labels } });

const certified: readonly (readonly [string, Readonly<Record<string, string>>, readonly string[]])[] = [
  [
    "an injected pod",
    {
      app: "web",
      version: "v1",
      "service.istio.io/canonical-name": "front",
      "service.istio.io/canonical-revision": "v2",
      "service.istio.io/workload-name": "web-v1",
    },
    ["workload:web-v1", "app:web", "version:v1", "service:front", "revision:v2", "cluster:Kubernetes"],
  ],
  ["a pod without labels", {}, ["revision:latest", "cluster:Kubernetes"]],
  [
    "labels that would end one part of a name and begin another",
    { app: "web,OU=workload:admin", version: 'v1+"\\' },
    ["cluster:Kubernetes"],
  ],
];
for (const [what, labels, units] of certified)
  test(`what a certificate says of ${what}`, () => {
    assert.equal(workloadUnits(podOf(labels), "Kubernetes"), units);
  });

test("a certificate says nothing of a pod that is not known, nor of a cluster with a strange name", () => {
  assert.equal(workloadUnits(undefined, "one, two"), ["revision:latest"]);
});

const values: readonly (readonly [expression: string, format: string | undefined])[] = [
  ["'text'", "text"],
  [' "50 %" ', "50 %%"],
  ["request.headers['X-Tenant']", "%REQ(x-tenant)%"],
  ['response.headers["server"]', "%RESP(server)%"],
  ["request.method", "%REQ(:METHOD)%"],
  ["request.headers['a)%%REQ(b']", undefined],
  ["request.url_path", undefined],
  ["'a' + 'b'", undefined],
  ["'it\\'s'", undefined],
  ["", undefined],
];
for (const [expression, format] of values)
  test(`the label's value ${expression}`, () => {
    const value = tagValueOf(expression);
    assert.is(value && tagFormat(value), format);
  });

test("each attribute that labels may be has a format", () => {
  for (const attribute of attributes) assert.match(tagFormat(tagValueOf(attribute)!), /^%[A-Z_]+(\([A-Z:-]+\))?%$/);
});

test("without metrics and file there is no logger, and none that is told of beginnings", () => {
  const told = {
    mesh: defaultMeshConfig,
    side: "client",
    security: "plaintext",
    reporting: { metrics: {}, accessLogFile: "" },
  } as const;
  assert.equal(requestLogs(told), []);
  assert.equal(connectionLogs(told), { accessLog: [] });
});

test("HTTP/1 has no logger for gRPC", () => {
  const { client } = standardTelemetry(defaultMeshConfig);
  const told = { mesh: defaultMeshConfig, reporting: client, side: "client", security: "plaintext" } as const;
  assert.is(requestLogs(told).length, 2);
  assert.is(requestLogs(told, true).length, 1);
});

test.run();
