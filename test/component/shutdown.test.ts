import { request } from "node:https";
import { status } from "@grpc/grpc-js";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { typeUrls } from "../../src/compile/resources.js";
import { admit, openXdsStream } from "./support/clients.js";
import { eventually, startHeddled, within } from "./support/heddled.js";

const graceMilliseconds = 1500;
const host = "heddled.istio-system.svc";
const pod = { metadata: { name: "web" }, spec: { containers: [{ name: "app", image: "app" }] } };

/** An admission whose body is sent in two halves; the second one on demand. */
const startAdmission = (port: number, ca: string) => {
  const body = JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: { uid: "slow", kind: { group: "", version: "v1", kind: "Pod" }, namespace: "shop", object: pod },
  });
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const sent = request({
    host: "127.0.0.1",
    port,
    path: "/inject",
    method: "POST",
    agent: false,
    ca,
    servername: host,
    headers,
  });
  const answer = new Promise<string>((resolve, reject) => {
    sent.on("error", reject);
    sent.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => resolve(Buffer.concat(chunks).toString()));
    });
  });
  sent.write(body.slice(0, 40));
  return { answer, finish: () => sent.end(body.slice(40)) };
};

test("after SIGTERM others are sent elsewhere first, and nothing under way is lost", async () => {
  const heddled = await startHeddled({ SHUTDOWN_GRACE: `${graceMilliseconds}ms`, SHUTDOWN_SPREAD: "500ms" });
  try {
    const { api, ports, tokens } = heddled;
    const roots = await eventually("the root ConfigMap", () => heddled.roots() || undefined);
    const streams = await Promise.all(
      Array.from({ length: 5 }, async (_, index) => {
        const name = `cart-${index}`;
        api.put("pods", {
          metadata: { name, namespace: "shop", uid: name },
          spec: {},
          status: { podIP: `10.0.0.${index}` },
        });
        const token = tokens.issue({ namespace: "shop", serviceAccount: "cart", pod: name, uid: name });
        const stream = openXdsStream(`127.0.0.1:${ports.xds}`, roots, token, host);
        const first = new Promise((resolve) => stream.call.once("data", resolve));
        stream.send({ typeUrl: typeUrls.cluster, node: { id: `sidecar~10.0.0.1~${name}.shop~x` } });
        await first;
        return stream;
      }),
    );
    const slow = startAdmission(ports.webhook, roots);
    // It is looked at later.
    slow.answer.catch(() => undefined);
    const signalled = Date.now();
    heddled.process.kill("SIGTERM");
    await eventually("readiness is 503", async () => (await heddled.ready()) === 503, 1);
    const ends = streams.map(async ({ ended }) => ({ ...(await ended), after: Date.now() - signalled }));
    let admissions = 0;
    while (Date.now() - signalled < graceMilliseconds - 200) {
      assert.ok((await admit(ports.webhook, roots, pod)).allowed);
      admissions++;
    }
    assert.ok(admissions > 0);
    for (const { code, details, after } of await within("the end of the streams", Promise.all(ends))) {
      assert.is(code, status.UNAVAILABLE);
      assert.match(details, "stopping");
      assert.ok(after >= graceMilliseconds, `a stream ended ${after} ms after the signal`);
    }
    slow.finish();
    assert.match(await within("the slow admission", slow.answer), /"uid":"slow","allowed":true/);
    assert.is(await within("the end of heddled", heddled.exited), 0);
    for (const { close } of streams) close();
  } finally {
    await heddled.close();
  }
});

test.run();
