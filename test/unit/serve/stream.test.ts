import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type EncodedResource, type TypeUrl, typeUrls } from "../../../src/compile/resources.js";
import { createView } from "../../../src/compile/view.js";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from "../../../src/proto/envoy/service/discovery/v3/discovery_pb.js";
import { createResponseEncoder } from "../../../src/serve/encoding.js";
import { createDeltaStream } from "../../../src/serve/stream.js";

const resource = (name: string, version: string): EncodedResource => ({
  name,
  version,
  encoded: toBinary(ResourceSchema, create(ResourceSchema, { name, version })),
});

const open = () => {
  const view = createView();
  const encoder = createResponseEncoder();
  const responses: DeltaDiscoveryResponse[] = [];
  const nacks: string[] = [];
  const stream = createDeltaStream({
    layers: [view],
    encoder,
    mayDeflate: false,
    write: ({ buffers }) =>
      responses.push(fromBinary(DeltaDiscoveryResponseSchema, Buffer.concat(buffers).subarray(5))),
    acked: () => {},
    nacked: (_type, names, message) => nacks.push(`${names.join()} ${message}`),
  });
  view.onChange((touched) => {
    stream.mark(touched);
    stream.flush();
  });
  const ask = (typeUrl: TypeUrl, fields: object = {}): void =>
    stream.receive(create(DeltaDiscoveryRequestSchema, { typeUrl, ...fields }));
  const take = (): readonly string[] =>
    responses.splice(0).map(({ typeUrl, resources, removedResources, nonce }) => {
      last.set(typeUrl, nonce);
      const kind = typeUrl.split(".").at(-1);
      return `${kind} +${resources.map(({ name, version }) => `${name}@${version}`).join()} -${removedResources.join()}`;
    });
  const last = new Map<string, string>();
  const ack = (typeUrl: TypeUrl, fields: object = {}): void =>
    ask(typeUrl, { responseNonce: last.get(typeUrl), ...fields });
  return { view, encoder, ask, ack, take, nacks, isInSync: stream.isInSync };
};

test("a wildcard subscription gets all, then only what differs", () => {
  const { view, ask, ack, take } = open();
  view.set(typeUrls.cluster, resource("a", "1"));
  view.set(typeUrls.cluster, resource("b", "1"));
  view.commit();
  ask(typeUrls.cluster);
  assert.equal(take(), ["Cluster +a@1,b@1 -"]);
  ack(typeUrls.cluster);
  assert.equal(take(), []);
  view.set(typeUrls.cluster, resource("b", "2"));
  view.remove(typeUrls.cluster, "a");
  view.commit();
  assert.equal(take(), ["Cluster +b@2 -a"]);
});

test("a named subscription gets what it names, and is told of what is not there", () => {
  const { view, ask, ack, take } = open();
  view.set(typeUrls.route, resource("80", "1"));
  view.set(typeUrls.route, resource("81", "1"));
  view.commit();
  ask(typeUrls.route, { resourceNamesSubscribe: ["80", "missing"] });
  assert.equal(take(), ["RouteConfiguration +80@1 -missing"]);
  ack(typeUrls.route);
  view.set(typeUrls.route, resource("81", "2"));
  view.commit();
  assert.equal(take(), []);
  ack(typeUrls.route, { resourceNamesSubscribe: ["81"], resourceNamesUnsubscribe: ["80"] });
  assert.equal(take(), ["RouteConfiguration +81@2 -"]);
});

test("a proxy that reconnects is sent only what it has not", () => {
  const { view, ask, take } = open();
  view.set(typeUrls.cluster, resource("same", "1"));
  view.set(typeUrls.cluster, resource("newer", "2"));
  view.commit();
  ask(typeUrls.cluster, { initialResourceVersions: { same: "1", newer: "1", gone: "1" } });
  assert.equal(take(), ["Cluster +newer@2 -gone"]);
});

test("changes wait for the answer and are merged; a rejection is told once and the stream goes on", () => {
  const { view, ask, ack, take, nacks } = open();
  view.set(typeUrls.listener, resource("l", "1"));
  view.commit();
  ask(typeUrls.listener);
  assert.equal(take(), ["Listener +l@1 -"]);
  for (const version of ["2", "3", "4"]) {
    view.set(typeUrls.listener, resource("l", version));
    view.commit();
  }
  assert.equal(take(), []);
  ack(typeUrls.listener, { errorDetail: { code: 13, message: "bad" } });
  assert.equal(nacks, ["l bad"]);
  assert.equal(take(), ["Listener +l@4 -"]);
  ack(typeUrls.listener);
  assert.equal(take(), []);
});

test("a cluster stays while the proxy has rejected the listener that no longer names it", () => {
  const { view, ask, ack, take } = open();
  view.set(typeUrls.cluster, resource("old", "1"));
  view.set(typeUrls.listener, resource("l", "1"));
  view.commit();
  ask(typeUrls.cluster);
  ask(typeUrls.listener);
  take();
  ack(typeUrls.cluster);
  ack(typeUrls.listener);
  view.set(typeUrls.listener, resource("l", "2"));
  view.remove(typeUrls.cluster, "old");
  view.commit();
  assert.equal(take(), ["Listener +l@2 -"]);
  ack(typeUrls.listener, { errorDetail: { code: 13, message: "bad" } });
  assert.equal(take(), []);
  view.set(typeUrls.listener, resource("l", "3"));
  view.commit();
  assert.equal(take(), ["Listener +l@3 -"]);
  ack(typeUrls.listener);
  assert.equal(take(), ["Cluster + -old"]);
});

test("a changed cluster is followed by its endpoints, and a removed one waits for the routes", () => {
  const { view, ask, ack, take } = open();
  view.set(typeUrls.cluster, resource("c", "1"));
  view.set(typeUrls.endpoint, resource("c", "1"));
  view.set(typeUrls.route, resource("r", "1"));
  view.commit();
  ask(typeUrls.cluster);
  ask(typeUrls.endpoint, { resourceNamesSubscribe: ["c"] });
  ask(typeUrls.route, { resourceNamesSubscribe: ["r"] });
  take();
  ack(typeUrls.cluster);
  ack(typeUrls.endpoint);
  ack(typeUrls.route);
  view.set(typeUrls.cluster, resource("c", "2"));
  view.commit();
  assert.equal(take(), ["Cluster +c@2 -", "ClusterLoadAssignment +c@1 -"]);
  ack(typeUrls.cluster);
  ack(typeUrls.endpoint);
  view.remove(typeUrls.cluster, "c");
  view.set(typeUrls.route, resource("r", "2"));
  view.commit();
  assert.equal(take(), ["RouteConfiguration +r@2 -"]);
  ack(typeUrls.route);
  assert.equal(take(), ["Cluster + -c"]);
});

test("equal responses of many streams are encoded once", () => {
  const encoder = createResponseEncoder();
  const resources = [resource("a", "1")];
  const messages = Array.from({ length: 100 }, () => encoder.message(typeUrls.endpoint, [resources], [], true));
  assert.is(encoder.encodes(), 1);
  assert.ok(messages.every((message) => message === messages[0]));
});

test("a proxy is in sync once it has acknowledged everything, and not while it rejects something", () => {
  const { view, ask, ack, take, isInSync } = open();
  assert.not(isInSync());
  view.set(typeUrls.cluster, resource("a", "1"));
  view.set(typeUrls.cluster, resource("b", "1"));
  view.commit();
  ask(typeUrls.cluster);
  take();
  assert.not(isInSync(), "not answered yet");
  ack(typeUrls.cluster);
  assert.ok(isInSync());
  view.set(typeUrls.cluster, resource("a", "2"));
  view.commit();
  take();
  ack(typeUrls.cluster, { errorDetail: { code: 13, message: "no" } });
  assert.not(isInSync(), "rejected");
  view.set(typeUrls.cluster, resource("b", "2"));
  view.commit();
  take();
  ack(typeUrls.cluster);
  assert.not(isInSync(), "another one is taken");
  view.set(typeUrls.cluster, resource("a", "3"));
  view.commit();
  take();
  ack(typeUrls.cluster);
  assert.ok(isInSync(), "the one that was rejected is taken in a later version");
});

test.run();
