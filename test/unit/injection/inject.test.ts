import type { V1Pod } from "@kubernetes/client-node";
import fastCheck from "fast-check";
import jsonPatch from "fast-json-patch";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseTemplate } from "../../../src/injection/template.js";
import {
  container,
  inject,
  names,
  type PodOptions,
  patched,
  refusal,
  samplePod,
  template,
  templateText,
} from "./support.js";

const proxyOf = (options: PodOptions) => container(patched(samplePod(options)).pod, "istio-proxy");
const probe = { httpGet: { path: "/ready", port: "http" } };
const app = { name: "app", image: "example/web:1", ports: [{ containerPort: 8080, name: "http" }] };

test("a common pod gets two containers, an init container, labels and Istio's status", () => {
  const { pod } = patched(samplePod());
  assert.equal(names(pod.spec!.containers), ["app", "istio-proxy"]);
  assert.equal(names(pod.spec!.initContainers), ["istio-init"]);
  assert.equal(pod.metadata!.labels, {
    app: "web",
    "security.istio.io/tlsMode": "istio",
    "service.istio.io/canonical-name": "web",
    "service.istio.io/canonical-revision": "latest",
    "service.istio.io/workload-name": "web-0",
    "istio.io/rev": "default",
  });
  assert.is(
    pod.metadata!.annotations!["sidecar.istio.io/status"],
    '{"initContainers":["istio-init"],"containers":["istio-proxy"],"volumes":["istio-token","istiod-ca-cert"],"imagePullSecrets":null,"revision":"default"}',
  );
  assert.is(pod.spec!.securityContext, undefined, "no fsGroup is forced");
});

const owned = (kind: string, name: string, labels: Record<string, string> = {}): PodOptions => ({
  labels,
  metadata: { ownerReferences: [{ apiVersion: "v1", kind, name, uid: "u", controller: true }], labels },
});
test("Prometheus is pointed to the proxy, unless the pod's own annotations are for its application", () => {
  const scraped = (annotations: Readonly<Record<string, string>>) =>
    Object.fromEntries(
      Object.entries(patched(samplePod({ annotations })).pod.metadata!.annotations!).filter(([name]) =>
        name.startsWith("prometheus.io/"),
      ),
    );
  assert.equal(scraped({}), {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": "15090",
    "prometheus.io/path": "/stats/prometheus",
  });
  for (const own of [{ "prometheus.io/port": "8080" }, { "prometheus.io/scrape": "false" }])
    assert.equal(scraped(own), own);
});

test("the proxy is told what metrics call its workload", () => {
  const { env } = proxyOf(owned("ReplicaSet", "web-abc", { "pod-template-hash": "abc", app: "web", version: "v$1" }));
  const value = (name: string): string | undefined => env?.find((each) => each.name === name)?.value;
  assert.equal(
    ["WORKLOAD", "APP", "VERSION", "CLUSTER", "CANONICAL_SERVICE", "UNKNOWN"].map((name) => value(`HEDDLE_${name}`)),
    ["web", "web", "v$$1", "Kubernetes", "web", "unknown"],
  );
});

const nativeCases: readonly (readonly [string, PodOptions, boolean])[] = [
  ["a Job's pod", owned("Job", "sum-1"), true],
  ["a pod that ends", { spec: { restartPolicy: "Never" } }, true],
  [
    "a pod that ends, annotated otherwise",
    { spec: { restartPolicy: "Never" }, annotations: { "sidecar.istio.io/nativeSidecar": "false" } },
    false,
  ],
  ["by annotation", { annotations: { "sidecar.istio.io/nativeSidecar": "true" } }, true],
  ["held", { annotations: { "proxy.istio.io/config": "holdApplicationUntilProxyStarts: true" } }, true],
  ["an HTTP postStart hook", { spec: { containers: [{ ...app, lifecycle: { postStart: probe } }] } }, true],
  ["a Deployment's pod", owned("ReplicaSet", "web-abc", { "pod-template-hash": "abc" }), false],
];
for (const [what, options, native] of nativeCases)
  test(`${what}: ${native ? "a native sidecar" : "an ordinary container"}`, () => {
    const { pod } = patched(
      samplePod({ ...options, spec: { initContainers: [{ name: "migrate", image: "m" }], ...options.spec } }),
    );
    assert.equal(
      names(pod.spec!.initContainers),
      native ? ["istio-init", "istio-proxy", "migrate"] : ["migrate", "istio-init"],
    );
    assert.is(container(pod, "istio-proxy").restartPolicy, native ? "Always" : undefined);
  });

test("hold and an ordinary sidecar contradict each other", () => {
  const annotations = {
    "sidecar.istio.io/nativeSidecar": "false",
    "proxy.istio.io/config": "holdApplicationUntilProxyStarts: true",
  };
  assert.match(refusal(samplePod({ annotations })), /remove one of the two/);
});

test("names come from the workload where no label gives them", () => {
  const named = (options: PodOptions): string | undefined =>
    patched(samplePod(options)).pod.metadata!.labels!["service.istio.io/canonical-name"];
  assert.is(named(owned("ReplicaSet", "web-abc", { "pod-template-hash": "abc" })), "web");
  assert.is(named(owned("Job", "sum-29000000")), "sum");
  assert.is(named({ metadata: { name: "", generateName: "run-", labels: {} } }), "run");
});

test("the proxy stops late, never later than the grace period, and at once in a Job", () => {
  assert.is(proxyOf({}).lifecycle!.preStop!.sleep!.seconds, 5);
  assert.is(proxyOf({ spec: { terminationGracePeriodSeconds: 2 } }).lifecycle!.preStop!.sleep!.seconds, 2);
  assert.is(proxyOf({ spec: { terminationGracePeriodSeconds: 0 } }).lifecycle, undefined);
  assert.is(proxyOf(owned("Job", "sum-1")).lifecycle, undefined);
});

test("the user's own istio-proxy is merged field by field and wins", () => {
  const own = {
    name: "istio-proxy",
    image: "auto",
    imagePullPolicy: "Always",
    env: [{ name: "MINE", value: "1" }],
    resources: { limits: { cpu: "4" } },
    securityContext: { runAsUser: 2000 },
    readinessProbe: { exec: { command: ["true"] } },
    volumeMounts: [{ name: "x", mountPath: "/x" }],
  };
  const { pod } = patched(samplePod({ spec: { containers: [own, app] } }));
  const proxy = container(pod, "istio-proxy");
  assert.equal(names(pod.spec!.containers), ["app", "istio-proxy"]);
  assert.is(proxy.image, "heddle/proxyv2:1");
  assert.is(proxy.imagePullPolicy, undefined);
  assert.is(proxy.env!.at(-1)!.name, "MINE");
  assert.equal(proxy.resources!.limits, { cpu: "4", memory: "1Gi" });
  assert.is(proxy.securityContext!.runAsUser, 2000);
  assert.is(proxy.securityContext!.readOnlyRootFilesystem, true);
  assert.is(proxy.readinessProbe!.httpGet, undefined);
  assert.is(proxy.readinessProbe!.periodSeconds, 15);
  assert.is(proxy.volumeMounts!.length, 3);
  assert.is(proxy.args![proxy.args!.indexOf("--concurrency") + 1], "4");
  assert.match(container(pod, "istio-init").args!.join(), /skuid 2000/);
});

test("OpenShift's range gives the proxy's user, also to the redirect rules", () => {
  const annotations = {
    "openshift.io/sa.scc.uid-range": "1000620000/10000",
    "openshift.io/sa.scc.supplemental-groups": "1000620000/10000",
  };
  const namespace = { name: "shop", labels: { "istio-injection": "enabled" }, annotations };
  const { pod } = patched(samplePod(), { namespace });
  assert.is(container(pod, "istio-proxy").securityContext!.runAsUser, 1000629999);
  assert.match(container(pod, "istio-init").args!.join(), /skuid 1000629999/);
  const broken = { ...namespace, annotations: { "openshift.io/sa.scc.uid-range": "many" } };
  assert.match(refusal(samplePod(), { namespace: broken }), /uid-range of the namespace: "many"/);
});

test("TPROXY runs the proxy with NET_ADMIN, tells it by its group, and adds the routes", () => {
  const { pod } = patched(samplePod({ annotations: { "sidecar.istio.io/interceptionMode": "TPROXY" } }));
  assert.equal(container(pod, "istio-proxy").securityContext!.capabilities, { drop: ["ALL"], add: ["NET_ADMIN"] });
  assert.equal(names(pod.spec!.initContainers), ["istio-init-routes-ipv4", "istio-init"]);
  assert.not.match(container(pod, "istio-init").args!.join(), /skuid 0 /);
});

test("a container that runs as the proxy's user is warned about", () => {
  assert.match(
    patched(samplePod({ spec: { securityContext: { runAsUser: 1337 } } })).warnings.join(),
    /container app runs as the proxy's own/,
  );
});

test("pull secrets are added once, ephemeral containers stay", () => {
  const values = { proxyImage: "p", initImage: "p", imagePullSecrets: [{ name: "a" }, { name: "b" }] };
  const ephemeralContainers = [{ name: "debug", image: "d" }];
  const { pod } = patched(samplePod({ spec: { imagePullSecrets: [{ name: "a" }], ephemeralContainers } }), { values });
  assert.equal(names(pod.spec!.imagePullSecrets), ["a", "b"]);
  assert.match(pod.metadata!.annotations!["sidecar.istio.io/status"]!, /"imagePullSecrets":\["b"\]/);
  assert.is(pod.spec!.ephemeralContainers, ephemeralContainers);
});

test("probes are rewritten, and left alone on request", () => {
  const spec = { containers: [{ ...app, readinessProbe: probe }] };
  assert.is(container(patched(samplePod({ spec })).pod, "app").readinessProbe!.httpGet!.port, 15020);
  const annotations = { "sidecar.istio.io/rewriteAppHTTPProbers": "false" };
  assert.equal(container(patched(samplePod({ spec, annotations })).pod, "app").readinessProbe, probe);
});

test("operators' templates and overlays", () => {
  const overlays = "[{op: replace, path: /spec/containers/0/image, value: other}]";
  assert.is(
    container(patched(samplePod(), { template: parseTemplate(templateText, overlays) }).pod, "istio-proxy").image,
    "other",
  );
  const missing = parseTemplate(templateText, "[{op: replace, path: /spec/containers/7/image, value: x}]");
  assert.match(refusal(samplePod(), { template: missing }), /overlays do not fit/);
  assert.throws(() => parseTemplate(templateText.replace("{proxyImage}", "{nothing}")), /\$\{nothing\} is not a value/);
  assert.throws(() => parseTemplate("spec: {containers: []}"), /istio-proxy/);
  assert.throws(() => parseTemplate("["), /not YAML/);
  assert.throws(() => parseTemplate(templateText, "{}"), /not a list/);
});

for (const value of [
  null,
  1,
  "x",
  [],
  {},
  { spec: {} },
  { spec: { containers: "x" } },
  { spec: { containers: [null] } },
  { metadata: { annotations: { a: 1 } }, spec: { containers: [] } },
])
  test(`${JSON.stringify(value)} is refused, not crashed on`, () => {
    assert.is(inject(value as unknown as V1Pod).kind, "refused");
  });

test("a forged status refuses the pod", () => {
  for (const text of ["x", "[]", '{"containers":"app"}'])
    assert.match(
      refusal(samplePod({ annotations: { "sidecar.istio.io/status": text } })),
      /sidecar\.istio\.io\/status/,
    );
});

const word = fastCheck.stringMatching(/^[a-z]{1,6}$/);
const someProbe = fastCheck.constantFrom(
  undefined,
  { httpGet: { path: "/x?a=$(B)", port: 8080 } },
  { httpGet: { port: "http", scheme: "HTTPS" }, periodSeconds: 3 },
  { tcpSocket: { port: 8080 } },
  { grpc: { port: 9000, service: "s" } },
  { exec: { command: ["true"] } },
);
const somePod = fastCheck
  .record({
    containers: fastCheck.uniqueArray(
      fastCheck.record({ name: word, readinessProbe: someProbe, startupProbe: someProbe }),
      {
        selector: ({ name }) => name,
        minLength: 1,
        maxLength: 3,
      },
    ),
    inits: fastCheck.uniqueArray(
      word.map((name) => `init-${name}`),
      { maxLength: 2 },
    ),
    own: fastCheck.constantFrom("none", "containers", "initContainers"),
    volumes: fastCheck.uniqueArray(word, { maxLength: 2 }),
    restartPolicy: fastCheck.constantFrom("Always", "Never"),
    mode: fastCheck.constantFrom("REDIRECT", "TPROXY"),
    native: fastCheck.constantFrom(undefined, "true"),
    annotated: fastCheck.boolean(),
  })
  .map(({ containers, inits, own, volumes, restartPolicy, mode, native, annotated }) => {
    const proxy = { name: "istio-proxy", image: "auto", env: [{ name: "MINE", value: "1" }] };
    const clean = JSON.parse(
      JSON.stringify(
        containers.map((item) => ({ ...item, image: "i", ports: [{ name: "http", containerPort: 8080 }] })),
      ),
    );
    const annotations = {
      "sidecar.istio.io/interceptionMode": mode,
      ...(native && { "sidecar.istio.io/nativeSidecar": native }),
    };
    return samplePod({
      ...(annotated || native ? { annotations } : {}),
      spec: {
        containers: own === "containers" ? [proxy, ...clean] : clean,
        ...(inits.length > 0 || own === "initContainers"
          ? {
              initContainers: [
                ...(own === "initContainers" ? [proxy] : []),
                ...inits.map((name) => ({ name, image: "i" })),
              ],
            }
          : {}),
        ...(volumes.length > 0 ? { volumes: volumes.map((name) => ({ name, emptyDir: {} })) } : {}),
        restartPolicy,
      },
    });
  });

test("property: injecting again changes nothing, the patch gives the pod, and the request is untouched", () => {
  fastCheck.assert(
    fastCheck.property(somePod, (pod) => {
      const before = JSON.stringify(pod);
      const first = patched(pod);
      assert.is(JSON.stringify(pod), before);
      assert.equal(jsonPatch.applyPatch(structuredClone(pod), first.patch, true).newDocument, first.pod);
      const second = patched(first.pod);
      assert.equal(second.pod, first.pod);
      assert.equal(second.patch, []);
    }),
    { numRuns: 300 },
  );
});

test("a container that another webhook adds between two injections stays, and gets its probe rewritten", () => {
  const first = patched(samplePod({ spec: { containers: [{ ...app, readinessProbe: probe }] } })).pod;
  const extra = { ...app, name: "extra", readinessProbe: probe };
  const second = patched({ ...first, spec: { ...first.spec!, containers: [...first.spec!.containers, extra] } }).pod;
  assert.equal(names(second.spec!.containers), ["app", "extra", "istio-proxy"]);
  assert.is(container(second, "app").readinessProbe!.httpGet!.path, "/app-health/app/readyz");
  assert.is(container(second, "extra").readinessProbe!.httpGet!.path, "/app-health/extra/readyz");
  assert.match(container(second, "istio-proxy").args!.join(), /app-health\/app\/readyz/);
});

test("a pod with 2,000 environment variables", () => {
  const env = Array.from({ length: 2000 }, (_, index) => ({ name: `V${index}`, value: "x".repeat(50) }));
  const pod = samplePod({ spec: { containers: [{ ...app, env }] } });
  const { patch } = patched(pod, { template });
  assert.ok(patch.every(({ path }) => !path.startsWith("/spec/containers/0")));
});

test.run();
