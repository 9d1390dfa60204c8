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

const policy = (spec: unknown, generation = 1, annotations?: object): ObjectEvent =>
  ({
    kind: "AuthorizationPolicy",
    namespace: "shop",
    name: "a",
    object:
      spec === undefined ? undefined : { metadata: { name: "a", namespace: "shop", generation, annotations }, spec },
  }) as ObjectEvent;

test("one that restricts and never was valid closes what it could have restricted, until it is valid or gone", () => {
  const wrong = [{ from: [{ source: { ipBlocks: ["x"] } }] }];
  const selector = { matchLabels: { app: "web" } };
  const everything = [{}];
  const rows: readonly (readonly [spec: unknown, stand: unknown])[] = [
    [{ selector, rules: wrong }, { selector }],
    [
      { selector, action: "DENY", rules: wrong },
      { selector, action: "DENY", rules: everything },
    ],
    [
      { selector, action: "CUSTOM" },
      { selector, action: "DENY", rules: everything },
    ],
    [
      { selector, action: "BLOCK" },
      { selector, action: "DENY", rules: everything },
    ],
    [{ selector: { matchLabels: { app: 7 } }, rules: wrong }, {}],
    [{ selector: { matchLabels: { app: "w*b" } } }, {}],
    [{ selector, targetRefs: [{ kind: "Gateway", name: "g" }] }, { selector }],
    [7, {}],
  ];
  for (const [spec, stand] of rows) {
    const keep = createLastGood();
    const { events, judgements } = keep([policy(spec)]);
    assert.equal(
      events.map(({ object }) => (object as { readonly spec?: unknown } | undefined)?.spec),
      [stand],
      JSON.stringify(spec),
    );
    assert.is(judgements[0]!.inForce, "closed");
    assert.equal(told(keep([policy({ rules: [] }, 2)])), ["+a", "a 2 judged 0"]);
    assert.equal(
      told(keep([policy(spec, 3)]))
        .at(-1)!
        .slice(0, 11),
      "a 3 earlier",
    );
  }
  const keep = createLastGood();
  keep([policy({ rules: wrong })]);
  assert.equal(told(keep([policy(undefined)])), ["-a"], "its end opens what it closed");
  keep([policy({ rules: wrong })]);
  assert.equal(told(keep([policy({ action: "AUDIT", rules: wrong }, 2)])), ["-a", "a 2 none 1"]);
});

test("what restricts nobody closes nothing when it is invalid", () => {
  const wrong = [{ from: [{ source: { ipBlocks: ["x"] } }] }];
  assert.equal(told(createLastGood()([policy({ action: "AUDIT", rules: wrong })])), ["a 1 none 1"]);
  assert.equal(told(createLastGood()([policy({ rules: wrong }, 1, { "istio.io/dry-run": "true" })])), ["a 1 none 1"]);
  const targetRefs = [{ kind: "Gateway", name: "g" }];
  assert.equal(told(createLastGood()([policy({ targetRefs, rules: wrong })])), ["a 1 none 2"]);
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
