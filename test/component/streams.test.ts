import { status } from "@grpc/grpc-js";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { typeUrls } from "../../src/compile/resources.js";
import type { ApiObject } from "./support/api-server.js";
import { openXdsStream, type XdsClient } from "./support/clients.js";
import { eventually, type RunningHeddled, startHeddled, within } from "./support/heddled.js";

/** What becomes of a proxy's stream while it is connected. */
interface Context {
  heddled: RunningHeddled;
}

const streams = suite<Context>("streams");

streams.before(async (context) => {
  context.heddled = await startHeddled();
});
streams.after(async ({ heddled }) => {
  await heddled?.close();
});

const podOf = (name: string) => ({
  metadata: { name, namespace: "shop", uid: `uid-${name}` },
  spec: { serviceAccountName: "cart", containers: [{ name: "app", image: "app" }] },
  status: { podIP: "10.0.0.9", podIPs: [{ ip: "10.0.0.9" }] },
});

const serviceOf = (name: string) => ({
  metadata: { name, namespace: "shop" },
  spec: { clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"], ports: [{ name: "http", port: 80 }] },
});

interface Connected extends XdsClient {
  readonly names: () => readonly string[];
  readonly nonce: () => string;
}

/** A pod's proxy that has asked for its clusters and acknowledges what comes, unless `nack` says what is wrong. */
const connect = (heddled: RunningHeddled, name: string, lifetimeSeconds: number, nack?: string): Connected => {
  const token = heddled.tokens.issue({
    namespace: "shop",
    serviceAccount: "cart",
    pod: name,
    uid: `uid-${name}`,
    lifetimeSeconds,
  });
  const stream = openXdsStream(`127.0.0.1:${heddled.ports.xds}`, heddled.roots(), token, "heddled.istio-system.svc");
  const names = new Set<string>();
  let nonce = "";
  stream.call.on("data", (response) => {
    nonce = response.nonce;
    for (const { name: resource } of response.resources) names.add(resource);
    const answer = { typeUrl: response.typeUrl, responseNonce: response.nonce };
    stream.send(nack === undefined ? answer : { ...answer, errorDetail: { code: 13, message: nack } });
  });
  stream.send({ typeUrl: typeUrls.cluster, node: { id: `sidecar~10.0.0.9~${name}.shop~shop.svc.cluster.local` } });
  return { ...stream, names: () => [...names], nonce: () => nonce };
};

streams(
  "a rejected configuration is an Event on the pod, a metric and a log line, without secrets",
  async ({ heddled }) => {
    heddled.api.put("pods", podOf("cart-1"));
    const secret = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----";
    const stream = connect(heddled, "cart-1", 3600, `bad cluster: inline_string: "${secret}" eyJhbGciOi.SECRET.x`);
    try {
      const event = await eventually("an Event", () =>
        heddled.api.list("events").find(({ reason }) => reason === "ConfigurationRejected"),
      ).catch((error: Error) => {
        throw new Error(`${error.message}; heddled's log:\n${heddled.log()}`);
      });
      const { kind, name, uid } = event["involvedObject"] as ApiObject["metadata"];
      assert.equal([kind, name, uid], ["Pod", "cart-1", "uid-cart-1"]);
      assert.match(String(event["message"]), /rejected Cluster .*: bad cluster/);
      assert.not.match(JSON.stringify(event) + heddled.log(), "SECRET");
      assert.ok(await heddled.metric(`heddle_xds_answers_total{type="${typeUrls.cluster}",answer="nack"}`));
    } finally {
      stream.close();
    }
  },
);

streams("a token that expires ends no stream, but opens none either", async ({ heddled }) => {
  heddled.api.put("pods", podOf("cart-2"));
  const lifetimeSeconds = 2;
  const stream = connect(heddled, "cart-2", lifetimeSeconds);
  const expires = Date.now() + lifetimeSeconds * 1000;
  let again: Connected | undefined;
  try {
    await eventually("the first clusters", () => stream.names().length > 0);
    await eventually("the token has expired", () => Date.now() > expires);
    heddled.api.put("services", serviceOf("late"));
    await eventually("a change after that", () => stream.names().some((name) => name.includes("late.shop")));
    again = connect(heddled, "cart-2", -1);
    const { code, details } = await within("the end of the stream", again.ended);
    assert.is(code, status.UNAUTHENTICATED);
    assert.match(details, "has expired");
  } finally {
    stream.close();
    again?.close();
  }
});

streams(
  "the stream of a pod that is deleted ends, and so does one whose name another pod takes",
  async ({ heddled }) => {
    for (const end of [
      () => heddled.api.remove("pods", "shop", "cart-3"),
      () => heddled.api.put("pods", { ...podOf("cart-3"), metadata: { ...podOf("cart-3").metadata, uid: "another" } }),
    ]) {
      heddled.api.put("pods", podOf("cart-3"));
      const stream = connect(heddled, "cart-3", 3600);
      try {
        await eventually("the first clusters", () => stream.names().length > 0);
        heddled.api.put("pods", {
          ...podOf("cart-3"),
          metadata: { ...podOf("cart-3").metadata, deletionTimestamp: "2026-01-01T00:00:00Z" },
        });
        heddled.api.put("services", serviceOf("ending"));
        await eventually("an ending pod is served", () => stream.names().some((name) => name.includes("ending.shop")));
        heddled.api.remove("services", "shop", "ending");
        const refusals = heddled.log().split("refused an xDS stream").length;
        end();
        const { code, details } = await within("the end of the stream", stream.ended);
        assert.is(code, status.UNAUTHENTICATED);
        assert.match(details, "pod shop/cart-3 is gone");
        await eventually("a log line", () => heddled.log().includes("ended an xDS stream"));
        assert.is(heddled.log().split("refused an xDS stream").length, refusals, "the end of a pod is no refusal");
      } finally {
        stream.close();
      }
    }
  },
);

streams.run();
