import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ConfigObject } from "../../../src/api/kind.js";
import type { ObjectEvent } from "../../../src/api/kubernetes.js";
import { createLastGood } from "../../../src/api/last-good.js";

const event = (name: string, spec: unknown, generation = 1): ObjectEvent =>
  ({
    kind: "WorkloadEntry",
    namespace: "shop",
    name,
    object: spec === undefined ? undefined : { metadata: { name, namespace: "shop", generation }, spec },
  }) as ObjectEvent;

const told = (result: ReturnType<ReturnType<typeof createLastGood>>): readonly string[] => [
  ...result.events.map(({ name, object }) => `${object === undefined ? "-" : "+"}${name}`),
  ...result.judgements.map(
    ({ name, generation, inForce, findings }) => `${name} ${generation} ${inForce} ${findings.length}`,
  ),
];

test("an invalid change is held back, and the last good version stays", () => {
  const keep = createLastGood();
  assert.equal(told(keep([event("a", { address: "10.0.0.1" })])), ["+a", "a 1 judged 0"]);
  assert.equal(told(keep([event("a", { address: "x y" }, 2)])), ["a 2 earlier 1"]);
  assert.equal(told(keep([event("a", { address: "10.0.0.2" }, 3)])), ["+a", "a 3 judged 0"]);
});

test("one that never was valid does nothing, and its end is nobody's business", () => {
  const keep = createLastGood();
  assert.equal(told(keep([event("a", {})])), ["a 1 none 1"]);
  assert.equal(told(keep([event("a", undefined)])), []);
  assert.equal(told(keep([event("a", { address: "10.0.0.1" })])), ["+a", "a 1 judged 0"]);
  assert.equal(told(keep([event("a", {}, 2)])), ["a 2 earlier 1"]);
  assert.equal(told(keep([event("a", undefined)])), ["-a"]);
  assert.equal(told(keep([event("a", {}, 3)])), ["a 3 none 1"], "a new one of the name does not get the old version");
});

test("one fault costs nobody else a change; other kinds pass as they are", () => {
  const keep = createLastGood();
  const pod = { kind: "Pod", namespace: "shop", name: "p", object: { metadata: { name: "p" } } } as ObjectEvent;
  const result = keep([event("bad", { address: 1 }), pod, event("good", { address: "10.0.0.1", wieght: 2 })]);
  assert.equal(told(result), ["+p", "+good", "bad 1 none 1", "good 1 judged 1"]);
  assert.is(result.events[0], pod);
  assert.equal((result.events[1]!.object as { readonly spec?: unknown }).spec, { address: "10.0.0.1" });
});

test("a change of the status alone is told, and held back from the model", () => {
  const keep = createLastGood();
  keep([event("a", { address: "10.0.0.1" })]);
  const given = event("a", { address: "10.0.0.1" });
  const conditions = [{ type: "Reconciled", status: "True", reason: "Accepted", message: "" }];
  const result = keep([{ ...given, object: { ...given.object, status: { conditions } } } as ObjectEvent]);
  assert.is(result.events.length, 0);
  assert.equal(
    result.judgements.map((judgement) => [judgement.isRepeated, judgement.conditions]),
    [[true, conditions]],
  );
  const labelled = {
    ...given.object,
    metadata: { ...(given.object as ConfigObject<unknown>).metadata, labels: { version: "v2" } },
  };
  assert.is(keep([{ ...given, object: labelled } as ObjectEvent]).events.length, 1, "labels are no status");
});

test("the generation in force is told", () => {
  const keep = createLastGood();
  keep([event("a", { address: "10.0.0.1" }, 3)]);
  const [judgement] = keep([event("a", {}, 4)]).judgements;
  assert.equal([judgement!.generation, judgement!.generationInForce], [4, 3]);
});

test.run();
