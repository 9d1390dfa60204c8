import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { type AttachedWorkload, createCompiler } from "../../../src/compile/compiler.js";
import { type TypeUrl, typeUrls } from "../../../src/compile/resources.js";

const pod: ObjectEvent = {
  kind: "Pod",
  namespace: "shop",
  name: "client",
  object: {
    metadata: { name: "client", namespace: "shop", uid: "uid", labels: { app: "s0" } },
    spec: { containers: [{ name: "c" }] },
    status: { podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }] },
  },
};

interface ServiceShape {
  readonly name: string;
  readonly namespace: string;
  readonly index: number;
  readonly portName: string;
  readonly port: number;
  readonly headless: boolean;
}

const serviceEvent = ({ name, namespace, index, portName, port, headless }: ServiceShape): ObjectEvent => ({
  kind: "Service",
  namespace,
  name,
  object: {
    metadata: { name, namespace },
    spec: {
      clusterIP: headless ? "None" : `10.96.0.${index + 1}`,
      selector: { app: name },
      ports: [{ name: portName, port, targetPort: 8080 }],
    },
  } as never,
});

const sliceEvent = ({ name, namespace, portName }: ServiceShape, addresses: readonly number[]): ObjectEvent => ({
  kind: "EndpointSlice",
  namespace,
  name: `${name}-slice`,
  object: {
    metadata: { name: `${name}-slice`, namespace, labels: { "kubernetes.io/service-name": name } },
    addressType: "IPv4",
    ports: [{ name: portName, port: 8080 }],
    endpoints: addresses.map((address) => ({ addresses: [`10.1.0.${address}`], conditions: { ready: true } })),
  } as never,
});

const attach = (compiler: ReturnType<typeof createCompiler>): AttachedWorkload => {
  const workload = compiler.attach("shop", "client", "uid");
  assert.ok(workload);
  return workload!;
};

const contentOf = ({ layers }: AttachedWorkload): Readonly<Record<string, string>> => {
  const content: Record<string, string> = {};
  for (const type of Object.values(typeUrls) as readonly TypeUrl[])
    for (const layer of layers)
      for (const name of layer.names(type)) {
        assert.not.ok(Object.hasOwn(content, `${type} ${name}`), `${name} is in two layers`);
        content[`${type} ${name}`] = layer.get(type, name)!.version;
      }
  return Object.fromEntries(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1)));
};

const shape = fc
  .record({
    index: fc.integer({ min: 0, max: 5 }),
    portName: fc.constantFrom("http", "http2-x", "grpc", "tcp", "", "mysql", "unknown"),
    port: fc.constantFrom(80, 81, 3306),
    headless: fc.boolean(),
  })
  .map(
    (fields): ServiceShape => ({ ...fields, name: `s${fields.index}`, namespace: fields.index % 2 ? "shop" : "other" }),
  );

const change: fc.Arbitrary<readonly ObjectEvent[]> = fc.oneof(
  shape.map((service) => [serviceEvent(service)]),
  fc
    .tuple(shape, fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }))
    .map(([service, addresses]) => [serviceEvent(service), sliceEvent(service, addresses)]),
  shape.map(({ name, namespace }): ObjectEvent[] => [{ kind: "Service", namespace, name, object: undefined }]),
  shape.map(({ name, namespace }): ObjectEvent[] => [
    { kind: "EndpointSlice", namespace, name: `${name}-slice`, object: undefined },
  ]),
);

test("what came change by change equals what is made from scratch, whatever the order", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (batches) => {
      const incremental = createCompiler();
      incremental.apply([pod]);
      const workload = attach(incremental);
      for (const batch of batches) incremental.apply(batch);
      const last = new Map<string, ObjectEvent>();
      for (const event of batches.flat()) last.set(`${event.kind}/${event.namespace}/${event.name}`, event);
      const present = [...last.values()].filter(({ object }) => object !== undefined);
      const scratch = createCompiler();
      scratch.apply([...present.reverse(), pod]);
      assert.equal(contentOf(workload), contentOf(attach(scratch)));
    }),
    { numRuns: 300 },
  );
});

test("a change of one service's endpoints touches its load assignment alone", () => {
  const compiler = createCompiler();
  const services = Array.from({ length: 20 }, (_, index) => ({
    ...{ index, name: `s${index}`, namespace: "shop", portName: "http", port: 80, headless: false },
  }));
  compiler.apply([pod, ...services.flatMap((service) => [serviceEvent(service), sliceEvent(service, [1, 2])])]);
  const workload = attach(compiler);
  const told: string[] = [];
  workload.onChange((_layer, touched) => {
    for (const [type, names] of touched) told.push(`${type.split(".").at(-1)} ${names.join()}`);
  });
  compiler.apply([sliceEvent(services[3]!, [1, 2, 3])]);
  assert.equal(told, ["ClusterLoadAssignment outbound|80||s3.shop.svc.cluster.local"]);
  told.length = 0;
  compiler.apply([sliceEvent(services[3]!, [1, 2, 3])]);
  assert.equal(told, [], "the same again is no change");
});

test("a proxy is given layers only under its own uid", () => {
  const compiler = createCompiler();
  compiler.apply([pod]);
  assert.is(compiler.attach("shop", "client", "another"), undefined);
  assert.is(compiler.attach("shop", "stranger", "uid"), undefined);
});

test("an object that the model cannot take costs itself alone", () => {
  const failures: string[] = [];
  const compiler = createCompiler(undefined, (what) => failures.push(what));
  const odd = { kind: "Service", namespace: "shop", name: "odd", object: { spec: { ports: 7 } } } as never;
  const shape: ServiceShape = { index: 1, name: "s1", namespace: "shop", portName: "http", port: 80, headless: false };
  compiler.apply([pod, odd, serviceEvent(shape), sliceEvent(shape, [1])]);
  assert.equal(failures, ["Service shop/odd"]);
  const names = Object.keys(contentOf(attach(compiler)));
  assert.ok(names.some((name) => name.endsWith("outbound|80||s1.shop.svc.cluster.local")));
});

test("what cannot be compiled costs itself alone", () => {
  const failures: string[] = [];
  const compiler = createCompiler(undefined, (what) => failures.push(what));
  compiler.apply([pod]);
  const workload = attach(compiler);
  const shape = (index: number): ServiceShape => ({
    ...{ index, name: `s${index}`, namespace: "shop", portName: "http", port: 80, headless: false },
  });
  const odd = serviceEvent({ ...shape(2), port: Number.NaN });
  compiler.apply([serviceEvent(shape(1)), odd, serviceEvent(shape(3))]);
  assert.ok(failures.includes("port NaN"), failures.join());
  const names = Object.keys(contentOf(workload));
  for (const name of ["s1", "s3"])
    assert.ok(
      names.some((each) => each.endsWith(`outbound|80||${name}.shop.svc.cluster.local`)),
      name,
    );
});

test.run();
