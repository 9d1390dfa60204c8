import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EnvoyFilter } from "../../../src/api/networking/envoy-filter.js";
import { createQuarantine } from "../../../src/compile/quarantine.js";

const filter = (priority: number): EnvoyFilter => ({ metadata: { name: "a", namespace: "shop" }, spec: { priority } });
const key = "shop/a";

test("a rejected filter falls back to the version before it, then to none, until it is edited", () => {
  const quarantine = createQuarantine();
  const [first, second, third] = [filter(1), filter(2), filter(3)];
  quarantine.follow(new Map([[key, first]]));
  quarantine.follow(new Map([[key, second]]));
  assert.is(quarantine.inForce(second), second);
  assert.ok(quarantine.add(key));
  assert.is(quarantine.inForce(second), first);
  assert.equal(quarantine.keys(), [key]);
  quarantine.follow(new Map([[key, third]]));
  assert.is(quarantine.inForce(third), third);
  assert.equal(quarantine.keys(), []);
  assert.ok(quarantine.add(key));
  assert.is(quarantine.inForce(third), first, "never the one that was rejected");
  assert.ok(quarantine.add(key));
  assert.is(quarantine.inForce(third), undefined);
  assert.not(quarantine.add(key), "nothing is left to change");
});

test("one that never had another version is left out, and a filter that is gone is nobody's business", () => {
  const quarantine = createQuarantine();
  const only = filter(1);
  quarantine.follow(new Map([[key, only]]));
  assert.ok(quarantine.add(key));
  assert.is(quarantine.inForce(only), undefined);
  assert.not(quarantine.add("shop/b"));
});

test.run();
