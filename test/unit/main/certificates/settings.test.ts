import { test } from "uvu";
import * as assert from "uvu/assert";
import { readCertificateSettings, readSpireSettings } from "../../../../src/main/certificates/settings.js";

const hour = 3_600_000;

test("without settings a root lives ten years and is rotated when a fifth is left", () => {
  const { rotation, certificates } = readCertificateSettings({});
  assert.is(rotation.rootLifetimeMilliseconds, 3650 * 24 * hour);
  assert.is(certificates.rotateBeforeMilliseconds, 730 * 24 * hour);
  assert.is(rotation.workloadLifetimeSeconds, 24 * 3600);
});

test("lifetimes that cannot go together are refused with what to do", () => {
  const refused: readonly (readonly [NodeJS.ProcessEnv, RegExp])[] = [
    [{ ROOT_LIFETIME: "ten years" }, /ROOT_LIFETIME: "ten years" is not a duration; write one such as "5s"/],
    [{ WORKLOAD_CERTIFICATE_LIFETIME: "1s" }, /WORKLOAD_CERTIFICATE_LIFETIME: is shorter than 10s/],
    [{ ROOT_ROTATE_BEFORE: "87599h" }, /ROOT_ROTATE_BEFORE: is more than half of ROOT_LIFETIME.*shorten it/],
    [{ ROOT_ROTATE_BEFORE: "1h" }, /ROOT_ROTATE_BEFORE: is shorter than WORKLOAD_CERTIFICATE_LIFETIME.*lengthen it/],
  ];
  for (const [environment, message] of refused) assert.throws(() => readCertificateSettings(environment), message);
});

test("SPIRE is asked for by name, its socket comes by the CSI driver or from a folder", () => {
  assert.is(readSpireSettings({}), undefined);
  assert.is(readSpireSettings({ CERTIFICATE_SOURCE: "heddled", SPIRE_NODE_FOLDER: "/run/spire" }), undefined);
  assert.equal(readSpireSettings({ CERTIFICATE_SOURCE: "spire" }), { nodeFolder: "" });
  assert.equal(readSpireSettings({ CERTIFICATE_SOURCE: "spire", SPIRE_NODE_FOLDER: "/run/spire" }), {
    nodeFolder: "/run/spire",
  });
  assert.throws(
    () => readSpireSettings({ CERTIFICATE_SOURCE: "vault" }),
    /CERTIFICATE_SOURCE: "vault"; use heddled or/,
  );
  assert.throws(
    () => readSpireSettings({ CERTIFICATE_SOURCE: "spire", SPIRE_NODE_FOLDER: "run" }),
    /SPIRE_NODE_FOLDER: "run" is not absolute/,
  );
});

test.run();
