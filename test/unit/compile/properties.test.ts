import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import { type AttachedWorkload, type Compiler, createCompiler } from "../../../src/compile/compiler.js";
import { type TypeUrl, typeUrls } from "../../../src/compile/resources.js";
import { arbitraryBatch, clientPods, clients, providers } from "../../support/arbitrary/mesh.js";

type Content = Readonly<Record<string, string>>;
type Client = (typeof clients)[number];

const attach = (compiler: Compiler, { namespace, name }: Client): AttachedWorkload => {
  const workload = compiler.attach(namespace, name, name);
  assert.ok(workload, `${namespace}/${name}`);
  return workload!;
};

/** Versions by type and name; bytes are never compared otherwise. */
const contentOf = ({ layers }: AttachedWorkload): Content => {
  const entries = (Object.values(typeUrls) as readonly TypeUrl[]).flatMap((type) =>
    layers.flatMap((layer) =>
      [...layer.names(type)].map((name): [string, string] => [
        `${type.split(".").at(-1)} ${name}`,
        layer.get(type, name)!.version,
      ]),
    ),
  );
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
};

const differing = (left: Content, right: Content): readonly string[] =>
  [...new Set([...Object.keys(left), ...Object.keys(right)])].filter((name) => left[name] !== right[name]).sort();

/** With both lists in the message, which a property's report keeps. */
const same = (actual: readonly string[], expected: readonly string[], what: string): void => {
  if (actual.join("\n") !== expected.join("\n"))
    throw new Error(`${what}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
};

/** An attached client, with what it has been told since it was last asked. */
const observe = (compiler: Compiler, client: Client) => {
  const workload = attach(compiler, client);
  const told: string[] = [];
  let known = contentOf(workload);
  workload.onChange((_layer, touched) => {
    for (const [type, names] of touched) told.push(...names.map((name) => `${type.split(".").at(-1)} ${name}`));
  });
  return {
    client,
    workload,
    /** Throws unless it was told exactly what differs. */
    check: (): void => {
      const now = contentOf(workload);
      same([...new Set(told)].sort(), differing(known, now), `told to ${client.name}`);
      known = now;
      told.length = 0;
    },
  };
};

/** The objects that are left in the end. */
const remaining = (events: readonly ObjectEvent[]): readonly ObjectEvent[] => {
  const last = new Map<string, ObjectEvent>();
  for (const event of events) last.set(`${event.kind}/${event.namespace}/${event.name}`, event);
  return [...last.values()].filter(({ object }) => object !== undefined);
};

const history = fc.record({
  pods: clientPods,
  batches: fc.array(arbitraryBatch, { maxLength: 14 }),
  /** Before which batch each client's proxy connects. */
  arrivals: fc.tuple(...clients.map(() => fc.integer({ min: 0, max: 14 }))),
  /** After which batch the first client's proxy leaves for a while. */
  departure: fc.integer({ min: 0, max: 20 }),
  seed: fc.integer({ min: 1, max: 1000 }),
  together: fc.boolean(),
});

/** In another order, the same for the same seed. */
const shuffled = <Item>(items: readonly Item[], seed: number): readonly Item[] =>
  items
    .map((item, index) => ({ item, rank: ((index + 1) * 7919 * seed) % 10_007 }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ item }) => item);

const mesh = { ...defaultMeshConfig, extensionProviders: providers };

const runs = Number(process.env["PROPERTY_RUNS"] ?? 150);

test("any history leads each client to what is made from scratch, and tells it of exactly what differs", () => {
  fc.assert(
    fc.property(history, ({ pods, batches, arrivals, departure, seed, together }) => {
      const compiler = createCompiler(mesh, undefined, () => {});
      compiler.apply(pods);
      let attached: ReturnType<typeof observe>[] = [];
      for (const [index, batch] of batches.entries()) {
        for (const [at, client] of clients.entries())
          if (arrivals[at] === index) attached.push(observe(compiler, client));
        compiler.apply(batch);
        for (const each of attached) each.check();
        if (index === departure) {
          for (const { workload } of attached.slice(0, 1)) workload.release();
          attached = attached.slice(1);
        }
      }
      const present = shuffled(remaining([...pods, ...batches.flat()]), seed);
      const scratch = createCompiler(mesh, undefined, () => {});
      if (together) scratch.apply(present);
      else for (const event of present) scratch.apply([event]);
      for (const client of clients) {
        const held = attached.find((each) => each.client === client)?.workload ?? attach(compiler, client);
        const expected = contentOf(attach(scratch, client));
        same(differing(contentOf(held), expected), [], `${client.name} against from scratch`);
      }
    }),
    { numRuns: runs, includeErrorInReport: true },
  );
});

test.run();
