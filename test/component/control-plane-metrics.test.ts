import { suite } from "uvu";
import * as assert from "uvu/assert";
import { typeUrls } from "../../src/compile/resources.js";
import { admit, openXdsStream } from "./support/clients.js";
import { eventually, type RunningHeddled, startHeddled } from "./support/heddled.js";

const test = suite<{ heddled: RunningHeddled }>("metrics of the control plane");

test.before(async (context) => {
  context.heddled = await startHeddled();
});
test.after(async ({ heddled }) => {
  await heddled?.close();
});

const uid = "uid-cart-1";
const metadata = { name: "cart-1", namespace: "shop", uid };
const spec = { serviceAccountName: "cart", containers: [{ name: "app", image: "app" }] };

const serviceOf = (name: string) => ({
  metadata: { name, namespace: "shop" },
  spec: { clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"], ports: [{ name: "http", port: 80 }] },
});

test("proxies, pushes, rejections and what they take are told of by Istio's names", async ({ heddled }) => {
  const is = (line: string, value: number) =>
    eventually(`${line} ${value}`, async () => (await heddled.metric(line)) === value);
  heddled.api.put("pods", { metadata, spec, status: { podIP: "10.0.0.9", podIPs: [{ ip: "10.0.0.9" }] } });
  heddled.api.put("services", serviceOf("one"));
  const token = heddled.tokens.issue({
    ...{ namespace: "shop", serviceAccount: "cart", pod: "cart-1", uid },
    lifetimeSeconds: 3600,
  });
  const stream = openXdsStream(`127.0.0.1:${heddled.ports.xds}`, heddled.roots(), token, "heddled.istio-system.svc");
  let fault: string | undefined;
  stream.call.on("data", (response) => {
    const answer = { typeUrl: response.typeUrl, responseNonce: response.nonce };
    stream.send(fault === undefined ? answer : { ...answer, errorDetail: { code: 13, message: fault } });
  });
  stream.send({ typeUrl: typeUrls.cluster, node: { id: "sidecar~10.0.0.9~cart-1.shop~shop.svc.cluster.local" } });
  await is("pilot_xds", 1);
  await is('pilot_xds_pushes{type="cds"}', 1);
  await is("pilot_services", 1);
  await is("pilot_virt_services", 0);
  await is("pilot_proxy_convergence_time_count", 0);
  heddled.api.put("services", serviceOf("two"));
  await is("pilot_proxy_convergence_time_count", 1);
  await is('pilot_xds_push_time_count{type="cds"}', 2);
  await is("pilot_services", 2);
  fault = "no";
  heddled.api.put("services", serviceOf("three"));
  await is('pilot_total_xds_rejects{type="cds"}', 1);
  assert.is(await heddled.metric("pilot_proxy_convergence_time_count"), 1, "a rejection is no end of the wait");
  stream.close();
  await is("pilot_xds", 0);
});

test("pods at admission are told of by Istio's names", async ({ heddled }) => {
  const ask = (own: object, annotations = {}) =>
    admit(heddled.ports.webhook, heddled.roots(), {
      metadata: { name: "web", namespace: "shop", annotations },
      spec: { ...spec, ...own },
    });
  assert.ok((await ask({})).allowed);
  assert.ok((await ask({})).allowed);
  assert.ok((await ask({ hostNetwork: true })).allowed);
  assert.not((await ask({}, { "sidecar.istio.io/proxyCPU": "much" })).allowed);
  for (const [outcome, count] of [
    ["requests", 4],
    ["success", 2],
    ["skip", 1],
    ["failure", 1],
  ] as const)
    assert.is(await heddled.metric(`sidecar_injection_${outcome}_total`), count, outcome);
});

test.run();
