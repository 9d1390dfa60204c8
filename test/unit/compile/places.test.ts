import { test } from "uvu";
import * as assert from "uvu/assert";
import { defaultMeshConfig } from "../../../src/api/meshconfig.js";
import { nobody } from "../../../src/compile/client.js";
import { createScope } from "../../../src/compile/scope.js";
import { emptySnapshot } from "../../../src/model/snapshot.js";
import { standardTelemetry } from "../../../src/model/telemetry.js";

test("a place whose last proxy has left is forgotten, since each one costs work at every change of endpoints", () => {
  const scope = createScope(
    emptySnapshot(),
    nobody({ families: ["IPv4"], reporting: standardTelemetry(defaultMeshConfig).client }),
    undefined,
    (_, error) => {
      throw error;
    },
  );
  const place = (nodeName: string) => ({
    key: nodeName,
    locality: { region: "r", zone: "z", subzone: "" },
    labels: {},
    nodeName,
  });
  const [left, stays] = [scope.placeView(place("one")), scope.placeView(place("two"))];
  const leave = left.onChange(() => undefined);
  stays.onChange(() => undefined);
  scope.prune();
  assert.is(scope.placeView(place("one")), left);
  leave();
  scope.prune();
  assert.is.not(scope.placeView(place("one")), left);
  assert.is(scope.placeView(place("two")), stays);
});

test.run();
