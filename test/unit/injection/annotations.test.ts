import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { annotations, withoutEffect } from "../../../src/injection/annotations.js";
import { annotationsDocument } from "../../../src/injection/documentation.js";
import { amountOf } from "../../../src/injection/parsers.js";
import { container, patched, refusal, samplePod } from "./support.js";

const wrong: Readonly<Record<keyof typeof annotations, readonly string[]>> = {
  inject: ["maybe"],
  templates: ["gateway", "sidecar,extra"],
  proxyImage: ["", "has space", "$(POD_NAME)", "/x", "a//b"],
  proxyCPU: ["lots", "-1", "1 Gi", ""],
  proxyCPULimit: ["2cores"],
  proxyMemory: ["128MB"],
  proxyMemoryLimit: ["1,5Gi"],
  logLevel: ["verbose", "DEBUG"],
  componentLogLevel: ["misc", "misc:loud", "misc:error,", "a:b:c"],
  includeInboundPorts: ["http", "0", "65536", "80,,90", "80;90", "-1"],
  excludeInboundPorts: ["*", "8080-8090"],
  includeOutboundPorts: ["80 90"],
  excludeOutboundPorts: ["1e3"],
  includeOutboundIPRanges: ["10.0.0.0", "10.0.0.0/33", "fd00::/129", "ten/8", "*,10.0.0.0/8"],
  excludeOutboundIPRanges: ["*", "10.0.0.0/"],
  excludeInterfaces: ['eth0"; flush ruleset', "averyverylonginterface"],
  interceptionMode: ["NONE", "redirect"],
  nativeSidecar: ["ja"],
  rewriteAppHTTPProbers: ["2"],
  readinessInitialDelaySeconds: ["-1", "1s"],
  readinessPeriodSeconds: ["0"],
  readinessFailureThreshold: ["0", "often"],
  statusPort: ["15021", "0"],
  statsInclusionPrefixes: ["a,,b"],
  statsInclusionSuffixes: [","],
  statsInclusionRegexps: ["(", "a,"],
  userVolume: ["x", "[1]", '[{"emptyDir":{}}]', '"x"', '{"a":1}'],
  userVolumeMount: ['[{"name":"x"}]', '[{"name":"x","mountPath":"relative"}]'],
  proxyConfig: [
    "[1]",
    "concurrency: -1",
    "concurency: 1",
    "a: [",
    "terminationDrainDuration: 5",
    "proxyMetadata: {'a b': c}",
  ],
  bootstrapOverride: ["my-bootstrap"],
  discoveryAddress: ["evil.example:15012"],
  enableCoreDump: ["true"],
  kubevirtInterfaces: ["net1"],
  rerouteVirtualInterfaces: ["net1"],
};

for (const [key, values] of Object.entries(wrong))
  for (const value of values)
    test(`${key} refuses ${JSON.stringify(value)} with name, value and cure`, () => {
      const rule = annotations[key as keyof typeof annotations];
      if (key === "inject" && value === "") return;
      const message = refusal(samplePod({ annotations: { [rule.name]: value } }));
      assert.ok(message.includes(`annotation ${rule.name}: ${JSON.stringify(value)}`), message);
      assert.ok(message.endsWith(rule.cure), message);
    });

test("a huge value does not make a huge message", () => {
  assert.ok(refusal(samplePod({ annotations: { "sidecar.istio.io/logLevel": "x".repeat(1e6) } })).length < 2000);
});

const quantities: readonly (readonly [string, number | undefined])[] = [
  ["1", 1],
  ["100m", 0.1],
  ["1.5", 1.5],
  ["128Mi", 128 * 2 ** 20],
  ["1G", 1e9],
  ["1e3", 1000],
  ["", undefined],
  ["1K", undefined],
  ["-1", undefined],
];
for (const [text, amount] of quantities) test(`quantity ${text}`, () => assert.is(amountOf(text), amount));

const resourcesWith = (texts: Record<string, string>) => {
  const full = Object.fromEntries(Object.entries(texts).map(([name, value]) => [`sidecar.istio.io/${name}`, value]));
  return container(patched(samplePod({ annotations: full })).pod, "istio-proxy").resources;
};

test("resource annotations merge into the mesh's defaults key by key", () => {
  assert.equal(resourcesWith({ proxyCPU: "250m" }), {
    requests: { cpu: "250m", memory: "128Mi" },
    limits: { cpu: "2", memory: "1Gi" },
  });
});
test("a request above the default limit raises it, a limit below the default request lowers that", () => {
  assert.equal(resourcesWith({ proxyCPU: "3", proxyMemoryLimit: "64Mi" }), {
    requests: { cpu: "3", memory: "64Mi" },
    limits: { cpu: "3", memory: "64Mi" },
  });
});
test("a request above its own limit is refused", () => {
  const texts = { "sidecar.istio.io/proxyCPU": "2", "sidecar.istio.io/proxyCPULimit": "1" };
  assert.match(refusal(samplePod({ annotations: texts })), /proxyCPU: "2" is more than .*proxyCPULimit: "1"/);
});

test("the image annotation is for both containers", () => {
  const { pod } = patched(
    samplePod({ annotations: { "sidecar.istio.io/proxyImage": `r.example:5000/p@sha256:${"a".repeat(64)}` } }),
  );
  for (const name of ["istio-proxy", "istio-init"]) assert.match(container(pod, name).image!, /^r\.example/);
});

const argument = (texts: Record<string, string>, name: string): string | undefined => {
  const args = container(patched(samplePod({ annotations: texts })).pod, "istio-proxy").args!;
  const index = args.indexOf(name);
  return index < 0 ? undefined : args[index + 1];
};

test("levels and threads become Envoy's arguments", () => {
  assert.is(argument({ "sidecar.istio.io/logLevel": "debug" }, "--log-level"), "debug");
  assert.is(argument({ "sidecar.istio.io/componentLogLevel": "rbac:debug" }, "--component-log-level"), "rbac:debug");
  assert.is(argument({ "proxy.istio.io/config": "concurrency: 3" }, "--concurrency"), "3");
  assert.is(argument({ "proxy.istio.io/config": "concurrency: 0" }, "--concurrency"), undefined);
  assert.is(argument({ "sidecar.istio.io/proxyCPULimit": "2500m" }, "--concurrency"), "3");
  assert.is(argument({ "proxy.istio.io/config": "drainDuration: 1m30s" }, "--drain-time-s"), "90");
});

test("readiness, volumes and environment reach the container", () => {
  const { pod } = patched(
    samplePod({
      annotations: {
        "readiness.status.sidecar.istio.io/periodSeconds": "3",
        "readiness.status.sidecar.istio.io/failureThreshold": "9",
        "readiness.status.sidecar.istio.io/initialDelaySeconds": "0",
        "sidecar.istio.io/userVolume": '{"certs":{"secret":{"secretName":"certs"}}}',
        "sidecar.istio.io/userVolumeMount": '[{"name":"certs","mountPath":"/etc/certs","readOnly":true}]',
        "proxy.istio.io/config": '{"proxyMetadata": {"ANSWER": 42}}',
      },
    }),
  );
  const proxy = container(pod, "istio-proxy");
  assert.is(proxy.readinessProbe!.periodSeconds, 3);
  assert.is(proxy.readinessProbe!.failureThreshold, 9);
  assert.is(proxy.readinessProbe!.initialDelaySeconds, 0);
  assert.equal(pod.spec!.volumes!.at(-1), { secret: { secretName: "certs" }, name: "certs" });
  assert.is(proxy.volumeMounts!.at(-1)!.mountPath, "/etc/certs");
  assert.equal(proxy.env!.at(-1), { name: "ANSWER", value: "42" });
});

test("redirect annotations reach the ruleset", () => {
  const { pod } = patched(
    samplePod({
      annotations: {
        "traffic.sidecar.istio.io/excludeInboundPorts": "9999",
        "traffic.sidecar.istio.io/excludeOutboundPorts": "3306",
        "traffic.sidecar.istio.io/includeOutboundPorts": "4444",
        "traffic.sidecar.istio.io/includeOutboundIPRanges": "10.96.0.0/12, fd00::/8",
        "traffic.sidecar.istio.io/excludeOutboundIPRanges": "10.97.0.0/16",
        "traffic.sidecar.istio.io/excludeInterfaces": "net1",
        "traffic.sidecar.istio.io/includeInboundPorts": "8080",
      },
    }),
  );
  const rules = container(pod, "istio-init").args!.join("\n");
  for (const part of ["9999", "3306", "4444", "10.96.0.0/12", "fd00::/8", "10.97.0.0/16", "net1", "8080"])
    assert.ok(rules.includes(part), `${part} in ${rules}`);
});

test("annotations without effect, and unknown ones, are warned about", () => {
  const { warnings } = patched(
    samplePod({
      annotations: { "sidecar.istio.io/agentLogLevel": "debug", "sidecar.istio.io/proxyCpu": "1", other: "x" },
    }),
  );
  assert.is(warnings.length, 2);
  assert.match(warnings[0]!, /agentLogLevel has no effect/);
  assert.match(warnings[1]!, /proxyCpu is not known/);
});

test("the user's Prometheus annotations stay", () => {
  const own = { "prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/m" };
  const { pod } = patched(samplePod({ annotations: own }));
  for (const [name, value] of Object.entries(own)) assert.is(pod.metadata!.annotations![name], value);
});

test("no name is in two tables", () => {
  for (const { name } of Object.values(annotations)) assert.not(withoutEffect.has(name));
});

test("docs/annotations.md is what the tables give", () => {
  const file = new URL("../../../docs/annotations.md", import.meta.url);
  assert.is(readFileSync(file, "utf8"), annotationsDocument());
});

test.run();
