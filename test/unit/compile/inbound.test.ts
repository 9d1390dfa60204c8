import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { createCompiler } from "../../../src/compile/compiler.js";
import { typeUrls } from "../../../src/compile/resources.js";

const pod: ObjectEvent = {
  kind: "Pod",
  namespace: "shop",
  name: "cart",
  object: {
    metadata: { name: "cart", namespace: "shop", uid: "uid", labels: { app: "cart" } },
    spec: { containers: [{ name: "c" }] },
    status: { podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }] },
  },
};

const service: ObjectEvent = {
  kind: "Service",
  namespace: "shop",
  name: "cart",
  object: {
    metadata: { name: "cart", namespace: "shop" },
    spec: { clusterIP: "10.96.0.1", selector: { app: "cart" }, ports: [{ name: "http", port: 80, targetPort: 8080 }] },
  },
};

const rule = (namespace: string, maxConnections: number | undefined): ObjectEvent => ({
  kind: "DestinationRule",
  namespace,
  name: "pool",
  object:
    maxConnections === undefined
      ? undefined
      : {
          metadata: { name: "pool", namespace },
          spec: {
            host: "cart.shop.svc.cluster.local",
            trafficPolicy: { connectionPool: { tcp: { maxConnections } } },
          },
        },
});

for (const namespace of ["shop", "istio-system"])
  test(`the limits of a DestinationRule in ${namespace} reach the inbound cluster as soon as they change`, () => {
    const compiler = createCompiler();
    compiler.apply([pod, service]);
    const workload = compiler.attach("shop", "cart", "uid")!;
    const version = (): string | undefined => workload.layers[0]!.get(typeUrls.cluster, "inbound|8080||")?.version;
    const without = version();
    assert.ok(without);
    compiler.apply([rule(namespace, 7)]);
    const seven = version();
    assert.is.not(seven, without);
    compiler.apply([rule(namespace, 8)]);
    assert.is.not(version(), seven);
    compiler.apply([rule(namespace, undefined)]);
    assert.is(version(), without);
  });

test.run();
