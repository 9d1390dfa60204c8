import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeResource } from "../../../src/compile/encode.js";
import { type EncodedResource, typeUrls } from "../../../src/compile/resources.js";
import { ClusterSchema } from "../../../src/proto/envoy/config/cluster/v3/cluster_pb.js";
import {
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  ResourceSchema,
} from "../../../src/proto/envoy/service/discovery/v3/discovery_pb.js";
import { deflatePart, joinParts } from "../../../src/serve/deflate.js";
import { createResponseEncoder, type ResponseMessage } from "../../../src/serve/encoding.js";
import { changeNames, type NameSet, noNames } from "../../../src/serve/names.js";

const resource = (name: string, version: string): EncodedResource => ({
  name,
  version,
  encoded: toBinary(
    ResourceSchema,
    create(ResourceSchema, { name, version, aliases: [createHash("sha512").update(name).digest("base64")] }),
  ),
});

const decode = ({ buffers, length }: ResponseMessage): DeltaDiscoveryResponse => {
  const bytes = Buffer.concat(buffers);
  assert.is(bytes.length, length);
  assert.is(bytes.readUInt32BE(1), length - 5);
  const message = bytes.subarray(5);
  return fromBinary(DeltaDiscoveryResponseSchema, bytes[0] === 1 ? inflateSync(message) : message);
};

test("parts compressed apart are one zlib stream together", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.uint8Array({ maxLength: 20_000 }),
          fc.nat(200_000).map((size) => Buffer.alloc(size, 255)),
        ),
        { maxLength: 5 },
      ),
      fc.uint8Array({ maxLength: 65_535 }),
      (parts, last) => {
        const whole = Buffer.concat([...parts, last]);
        const stream = joinParts(
          parts.map((part) => deflatePart(Buffer.from(part))),
          Buffer.from(last),
        );
        assert.ok(inflateSync(Buffer.concat(stream)).equals(whole));
      },
    ),
    { numRuns: 200 },
  );
});

test("a response holds all layers' resources, removed names, type and nonce, compressed or not", () => {
  const encoder = createResponseEncoder();
  const layers = [[resource("own", "1")], [], Array.from({ length: 50 }, (_, index) => resource(`r${index}`, "1"))];
  for (const mayDeflate of [true, false]) {
    const message = encoder.message(typeUrls.cluster, layers, ["gone", "too"], mayDeflate);
    const response = decode(message);
    assert.is(response.typeUrl, typeUrls.cluster);
    assert.is(response.nonce, message.nonce);
    assert.equal(response.removedResources, ["gone", "too"]);
    assert.equal(
      response.resources.map(({ name }) => name),
      layers.flat().map(({ name }) => name),
    );
    assert.is(message.buffers[0]![0], mayDeflate ? 1 : 0);
  }
});

test("what proxies have in common is encoded once, though each has something of its own", () => {
  const encoder = createResponseEncoder();
  const shared = Array.from({ length: 500 }, (_, index) => resource(`r${index}`, "1"));
  const messages = ["a", "b"].map((own) =>
    encoder.message(typeUrls.listener, [[resource(own, "1")], shared], [], true),
  );
  const [first, second] = messages.map(({ buffers }) => buffers.filter(({ length }) => length > 1000));
  assert.ok(first!.length > 0 && first!.every((buffer, at) => buffer === second![at]));
  assert.not.equal(messages[0]!.nonce, messages[1]!.nonce);
});

test("a version that differs in the middle of many is another response", () => {
  const encoder = createResponseEncoder();
  const resources = (version: string) => [resource("a", "1"), resource("b", version), resource("c", "1")];
  encoder.message(typeUrls.cluster, [resources("1")], [], true);
  const changed = decode(encoder.message(typeUrls.cluster, [resources("2")], [], true));
  assert.is(changed.resources[1]!.version, "2");
});

test("secrets are neither compressed nor remembered", () => {
  const encoder = createResponseEncoder();
  const secret = [resource("default", "1".repeat(5000))];
  const messages = [1, 2].map(() => encoder.message(typeUrls.secret, [secret], [], true));
  assert.is(messages[0]!.buffers[0]![0], 0);
  assert.ok(messages[0] !== messages[1]);
});

test("equal sets of names are one object, in whatever order and steps they came about", () => {
  const name = fc.integer({ min: 0, max: 30 }).map((index) => `outbound|80||s${index}`);
  const step = fc.tuple(fc.array(name, { maxLength: 8 }), fc.array(name, { maxLength: 8 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
      let set: NameSet = noNames;
      const expected = new Set<string>();
      for (const [added, removed] of steps) {
        set = changeNames(set, added, removed);
        for (const each of added) expected.add(each);
        for (const each of removed) expected.delete(each);
      }
      assert.equal([...set].sort(), [...expected].sort());
      assert.ok(changeNames(noNames, [...expected].reverse(), []) === set);
    }),
  );
});

test("resources of two types with the same name and bytes are not taken for each other", () => {
  const encoder = createResponseEncoder();
  const sent = ([typeUrls.cluster, typeUrls.listener] as const).map((type) => {
    const made = encodeResource(type, "same", ClusterSchema, create(ClusterSchema, { name: "same" }));
    return decode(encoder.message(type, [[made]], [], false)).resources.map(({ resource: any }) => any?.typeUrl);
  });
  assert.equal(sent, [[typeUrls.cluster], [typeUrls.listener]]);
});

test.run();
