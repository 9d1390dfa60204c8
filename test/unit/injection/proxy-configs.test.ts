import { test } from "uvu";
import * as assert from "uvu/assert";
import { imageOfType } from "../../../src/injection/image.js";
import type { InjectionRequest } from "../../../src/injection/types.js";
import { container, patched, refusal, requestOf, samplePod } from "./support.js";

const threads = (annotation: string | undefined, changes: Partial<InjectionRequest>): string | undefined => {
  const pod = samplePod(annotation === undefined ? {} : { annotations: { "proxy.istio.io/config": annotation } });
  const { args = [] } = container(patched(pod, changes).pod, "istio-proxy");
  const at = args.indexOf("--concurrency");
  return at < 0 ? undefined : args[at + 1];
};

const base = requestOf(samplePod()).values;
const values = { ...base, defaultConfig: { concurrency: 1 } };
const mesh = { concurrency: 2 };
const namespace = { concurrency: 3 };
const workload = { concurrency: 5 };

/** Each wins over all above it. */
const order: readonly (readonly [string, string | undefined, Partial<InjectionRequest>, string])[] = [
  ["meshConfig.defaultConfig", undefined, { values }, "1"],
  ["the mesh's ProxyConfig", undefined, { values, proxyConfigs: { mesh } }, "2"],
  ["the namespace's", undefined, { values, proxyConfigs: { mesh, namespace } }, "3"],
  ["the pod's annotation", "concurrency: 4", { values, proxyConfigs: { mesh, namespace } }, "4"],
  ["the one that selects the pod", "concurrency: 4", { values, proxyConfigs: { mesh, namespace, workload } }, "5"],
];
for (const [name, annotation, changes, expected] of order)
  test(`${name} wins over what is below it`, () => {
    assert.is(threads(annotation, changes), expected);
  });

test("environment variables come together key by key, and a field that is not set hides nothing", () => {
  const { pod } = patched(
    samplePod({ annotations: { "proxy.istio.io/config": "proxyMetadata: {A: annotation, C: c}" } }),
    {
      proxyConfigs: {
        mesh: { environmentVariables: { A: "mesh", M: "m" } },
        namespace: { concurrency: 7 },
        workload: { environmentVariables: { A: "workload", W: "w" } },
      },
    },
  );
  const proxy = container(pod, "istio-proxy");
  const env = Object.fromEntries((proxy.env ?? []).map(({ name, value }) => [name, value]));
  assert.equal([env["A"], env["M"], env["C"], env["W"]], ["workload", "m", "c", "w"]);
  assert.ok(proxy.args?.includes("7"));
});

const images: readonly (readonly [string, string, string | undefined])[] = [
  ["heddle/proxyv2:1", "debug", "heddle/proxyv2:1-debug"],
  ["r.example:5000/p:1.2-distroless", "debug", "r.example:5000/p:1.2-debug"],
  ["r.example:5000/p:1.2-debug", "default", "r.example:5000/p:1.2"],
  ["r.example:5000/p", "debug", "r.example:5000/p:latest-debug"],
  [`p@sha256:${"a".repeat(64)}`, "debug", undefined],
];
for (const [image, type, expected] of images)
  test(`${image} of type ${type}`, () => {
    assert.is(imageOfType(image, type), expected);
  });

test("the image's type is for both containers, and the annotation with a whole image wins", () => {
  const proxyConfigs = { namespace: { image: { imageType: "debug" } } };
  const { pod } = patched(samplePod(), { proxyConfigs });
  for (const name of ["istio-proxy", "istio-init"]) assert.is(container(pod, name).image, "heddle/proxyv2:1-debug");
  const own = samplePod({ annotations: { "sidecar.istio.io/proxyImage": "mine:2" } });
  assert.is(container(patched(own, { proxyConfigs }).pod, "istio-proxy").image, "mine:2");
  const digest = `p@sha256:${"a".repeat(64)}`;
  const { warnings } = patched(samplePod(), { proxyConfigs, values: { ...base, proxyImage: digest } });
  assert.match(warnings[0]!, /^imageType debug has no effect/);
});

test("a wrong type in the annotation is refused by name", () => {
  const config = { "proxy.istio.io/config": 'image: {imageType: "a/b"}' };
  assert.match(refusal(samplePod({ annotations: config })), /the field image has an imageType that cannot end a tag/);
});

test.run();
