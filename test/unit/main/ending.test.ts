import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Pod } from "../../../src/api/kubernetes.js";
import { typeUrls } from "../../../src/compile/resources.js";
import { createEnding } from "../../../src/main/ending.js";

const proxy = { name: "istio-proxy", lifecycle: { preStop: { sleep: { seconds: 1 } } } };
const pod = (isEnding: boolean, spec: object): Pod => ({
  metadata: { name: "a", ...(isEnding ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {}) },
  spec: { containers: [{ name: "app" }], ...spec },
});

test("an ending pod's proxy tells its callers to go, then refuses connections; a native sidecar takes them on", async () => {
  const ordinary = { containers: [{ name: "app" }, proxy] };
  const native = { initContainers: [{ ...proxy, restartPolicy: "Always" }] };
  for (const [spec, refuses] of [
    [ordinary, true],
    [native, false],
  ] as const) {
    const { view, follow, release } = createEnding();
    const told: string[] = [];
    const second = Promise.withResolvers<void>();
    view.onChange((touched) => {
      told.push(...(touched.get(typeUrls.cluster) ?? []));
      if (told.length === 2) second.resolve();
    });
    follow(pod(false, spec));
    assert.equal(told, []);
    follow(pod(true, spec));
    follow(pod(true, spec));
    assert.equal(told, ["drain|callers"]);
    if (refuses) await second.promise;
    else await new Promise((resolve) => setImmediate(resolve));
    assert.equal(told, refuses ? ["drain|callers", "drain|connections"] : ["drain|callers"]);
    release();
  }
});

test.run();
