import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Condition, Finding } from "../../../../src/api/kind.js";
import { conditionsOf, conditionsToWrite, type Standing } from "../../../../src/main/status/conditions.js";

const warning: Finding = { severity: "warning", path: "spec.a", message: "does nothing" };
const fault: Finding = { severity: "error", path: "spec.b", message: "is wrong" };
const sound: Standing = {
  generation: 3,
  inForce: "judged",
  generationInForce: 3,
  findings: [],
  conflicts: [],
  rejection: undefined,
  distribution: undefined,
};

const told = (standing: Partial<Standing>): readonly string[] =>
  conditionsOf({ ...sound, ...standing }).map(
    ({ type, status, reason, message, observedGeneration }) =>
      `${type} ${status} ${reason} ${observedGeneration}: ${message}`,
  );

const cases: readonly (readonly [name: string, standing: Partial<Standing>, expected: readonly string[]])[] = [
  ["nothing to say", {}, ["Reconciled True Accepted 3: The resource is in force"]],
  ["a warning", { findings: [warning] }, ["Reconciled True Warnings 3: spec.a: does nothing"]],
  [
    "a fault that costs a part",
    { findings: [warning, fault] },
    ["Reconciled False Invalid 3: What is faulty is left out. spec.b: is wrong"],
  ],
  [
    "invalid, with an earlier version",
    { inForce: "earlier", generationInForce: 2, findings: [warning, fault], distribution: { held: 1, proxies: 1 } },
    ["Reconciled False Invalid 3: The last valid version (generation 2) stays in force. spec.b: is wrong"],
  ],
  [
    "invalid from the start",
    { inForce: "none", generationInForce: undefined, findings: [fault] },
    ["Reconciled False Invalid 3: The resource has no effect. spec.b: is wrong"],
  ],
  [
    "lost to another",
    { conflicts: [{ ...warning, message: "shop/older has it" }], findings: [warning] },
    ["Reconciled False Conflict 3: spec.a: shop/older has it"],
  ],
  [
    "rejected",
    {
      rejection: { proxies: ["shop/a", "shop/b", "shop/c", "shop/d"], message: "no such filter", instead: "left out" },
    },
    [
      "Reconciled False Rejected 3: Rejected by the proxies of shop/a, shop/b, shop/c and 1 more; left out. Envoy: no such filter",
    ],
  ],
  [
    "on its way",
    { distribution: { held: 2, proxies: 3 } },
    ["Reconciled True Accepted 3: The resource is in force", "Distributed False Pending 3: Held by 2 of 3 proxies"],
  ],
  [
    "there",
    { distribution: { held: 3, proxies: 3 } },
    [
      "Reconciled True Accepted 3: The resource is in force",
      "Distributed True Distributed 3: Held by all 3 proxies that use it",
    ],
  ],
  [
    "nobody uses it",
    { distribution: { held: 0, proxies: 0 } },
    [
      "Reconciled True Accepted 3: The resource is in force",
      "Distributed True Distributed 3: No connected proxy uses it",
    ],
  ],
];
for (const [name, standing, expected] of cases) test(name, () => assert.equal(told(standing), expected));

test("only the first findings are told, and how many more there are", () => {
  const [condition] = conditionsOf({ ...sound, findings: [warning, warning, warning, warning, warning] });
  assert.match(condition!.message, /^(spec\.a: does nothing\. ){3}And 2 more$/);
});

const [early, late] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
const written = (standing: Partial<Standing>): readonly Condition[] =>
  conditionsToWrite([], conditionsOf({ ...sound, ...standing }), early)!;

test("what says the same is not written again, whatever others wrote beside it", () => {
  const other: Condition = { type: "Foreign", status: "True", reason: "X", message: "" };
  const before = [other, ...written({})];
  assert.is(conditionsToWrite(before, conditionsOf(sound), late), undefined);
  const next = conditionsToWrite(before, conditionsOf({ ...sound, findings: [warning] }), late)!;
  assert.equal(
    next.map(({ type }) => type),
    ["Reconciled"],
    "others' conditions are not written",
  );
  assert.is(next[0]!.lastTransitionTime, early, "the status is the same");
});

test("the time changes with the status; a new generation is written", () => {
  const lost = conditionsOf({ ...sound, conflicts: [warning] });
  assert.is(conditionsToWrite(written({}), lost, late)![0]!.lastTransitionTime, late);
  assert.is(conditionsToWrite(written({}), conditionsOf({ ...sound, generation: 4 }), late)![0]!.observedGeneration, 4);
});

test("a pod more is no reason to write; a condition that no longer applies is", () => {
  const before = written({ distribution: { held: 3, proxies: 3 } });
  assert.is(
    conditionsToWrite(before, conditionsOf({ ...sound, distribution: { held: 4, proxies: 4 } }), late),
    undefined,
  );
  assert.ok(conditionsToWrite(before, conditionsOf({ ...sound, inForce: "earlier", findings: [fault] }), late));
});

test.run();
