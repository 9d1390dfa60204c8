import { test } from "uvu";
import * as assert from "uvu/assert";
import { byAge } from "../../../src/model/age.js";

const named = (label: string, creationTimestamp?: string) => {
  const [name, namespace] = label.split(".");
  return {
    metadata: { name: name!, namespace: namespace!, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) },
  };
};

test("older first, then by name.namespace; what has no stamp is youngest", () => {
  const sorted = [
    named("a.z", "2026-01-01T00:00:00Z"),
    named("z.a", "2026-01-01T00:00:00Z"),
    named("a-b.a", "2026-01-02T00:00:00Z"),
    named("a.a", "2026-01-02T00:00:00Z"),
    named("a.b", "2026-01-02T00:00:00Z"),
    named("0.0"),
  ];
  for (let shift = 0; shift < sorted.length; shift++)
    assert.equal([...sorted.slice(shift), ...sorted.slice(0, shift)].sort(byAge), sorted);
});

test.run();
