import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { definitionOf, isConfigurationKind } from "../../src/api/kinds.js";
import type { ObjectEvent } from "../../src/api/kubernetes.js";
import { validateObject } from "../../src/api/validate.js";
import { authorizationPolicySpec } from "../support/arbitrary/accepted-authorization-policy.js";
import { arbitraryEvent, providers } from "../support/arbitrary/mesh.js";
import { echoPod, join } from "./support/manifests.js";
import { type Mesh, startMesh } from "./support/mesh.js";

/** One real proxy is given one valid set of objects after the other, all of which it has to accept. */
const test = suite<{ mesh: Mesh }>("any valid set of objects");

/** Pods and their addresses are the mesh's own; so are nodes. */
const applied = new Set([
  "Service",
  "ServiceEntry",
  "WorkloadEntry",
  "VirtualService",
  "DestinationRule",
  "Sidecar",
  "EnvoyFilter",
  "AuthorizationPolicy",
  "RequestAuthentication",
]);
const batches = 30;

const withVersion = (event: ObjectEvent): object => ({
  apiVersion: isConfigurationKind(event.kind)
    ? `${definitionOf(event.kind).group}/${definitionOf(event.kind).versions[0]}`
    : "v1",
  ...{ kind: event.kind, ...event.object },
});

const isValid = (event: ObjectEvent): boolean =>
  event.object === undefined ||
  !isConfigurationKind(event.kind) ||
  !validateObject(definitionOf(event.kind), withVersion(event)).some(({ severity }) => severity === "error");

/** One of the two proxies sees everything, or there would be little to accept. */
const isLimiting = ({ kind, namespace }: ObjectEvent): boolean => kind === "Sidecar" && namespace !== "other";

/** Local clusters give Services their addresses themselves. */
const withoutAddress = (event: ObjectEvent): ObjectEvent => {
  if (event.kind !== "Service" || event.object === undefined) return event;
  const { clusterIP, ...spec } = event.object.spec ?? {};
  return { ...event, object: { ...event.object, spec: clusterIP === "None" ? { ...spec, clusterIP } : spec } };
};

test.before(async (context) => {
  context.mesh = await startMesh({
    mesh: { extensionProviders: providers },
    yaml: join(echoPod("client-a", "a", { namespace: "shop" }), echoPod("client-b", "b", { namespace: "other" })),
  });
});

test.after(async ({ mesh }) => {
  await mesh?.close();
});

test("compiles to configuration that Envoy accepts", async ({ mesh }) => {
  const seed = Number(process.env["FC_SEED"] ?? Date.now() % 2 ** 31);
  const usable = arbitraryEvent
    .filter((event) => applied.has(event.kind) && isValid(event) && !isLimiting(event))
    .map(withoutAddress);
  const samples = fc.sample(fc.array(usable, { minLength: 3, maxLength: 8 }), { numRuns: batches, seed });
  let updates = 0;
  const present = new Map<string, ObjectEvent>();
  for (const [index, events] of samples.entries()) {
    const writing = events.filter(({ object }) => object !== undefined);
    try {
      await mesh.apply(writing.map((event) => JSON.stringify(withVersion(event))).join("\n---\n"));
      for (const event of writing) present.set(`${event.kind}/${event.namespace}/${event.name}`, event);
      const gone = events.find(
        ({ kind, namespace, name, object }) => object === undefined && present.has(`${kind}/${namespace}/${name}`),
      );
      if (gone !== undefined) {
        present.delete(`${gone.kind}/${gone.namespace}/${gone.name}`);
        await mesh.remove(gone.kind, gone.namespace, gone.name);
      }
    } catch (error) {
      const objects = [...present.values(), ...writing].map(withVersion);
      throw new Error(
        `FC_SEED=${seed}, batch ${index}: ${(error as Error).message}\n${JSON.stringify(objects, null, 1)}`,
      );
    }
    updates = await mesh.stat(
      "client-a",
      /^(cluster_manager\.cluster_(added|modified)|listener_manager\.listener_(added|modified)):/,
    );
    assert.not.match(mesh.log(), /refus|reject/i, `FC_SEED=${seed}, batch ${index}`);
  }
  assert.ok(updates > batches, `${updates} updates of listeners and clusters: the proxies were given little`);
});

test("AuthorizationPolicies with any texts compile to rules that Envoy accepts, for requests and connections", async ({
  mesh,
}) => {
  const seed = Number(process.env["FC_SEED"] ?? Date.now() % 2 ** 31);
  const names = ["p0", "p1", "p2", "p3", "p4"];
  const specs = fc.sample(authorizationPolicySpec(providers.map(({ name }) => name)), { numRuns: 150, seed });
  const objects = specs
    .map((spec, index) => ({
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: names[index % names.length], namespace: "shop" },
      spec,
    }))
    .filter(
      (object) =>
        !validateObject(definitionOf("AuthorizationPolicy"), object).some(({ severity }) => severity === "error"),
    );
  assert.ok(objects.length > 50, `only ${objects.length} are valid`);
  for (let at = 0; at < objects.length; at += names.length) {
    const batch = objects.slice(at, at + names.length);
    const told = `FC_SEED=${seed}: ${JSON.stringify(batch, null, 1)}`;
    await mesh.apply(batch.map((object) => JSON.stringify(object)).join("\n---\n")).catch((error: Error) => {
      throw new Error(`${error.message}\n${told}`);
    });
    assert.not.match(mesh.log(), /refus|reject/i, told);
  }
});

test.run();
