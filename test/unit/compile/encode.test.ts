import { create, toBinary } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fragmentOf, resourceOf } from "../../../src/compile/encode.js";
import { typeUrls } from "../../../src/compile/resources.js";
import { ResourceSchema } from "../../../src/proto/envoy/service/discovery/v3/discovery_pb.js";

test("a resource of any fragments is encoded as the protobuf library would", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.array(fc.uint8Array({ maxLength: 300 })), (name, parts) => {
      const { version, encoded } = resourceOf(typeUrls.route, name, parts.map(fragmentOf));
      const value = Uint8Array.from(parts.flatMap((part) => [...part]));
      const resource = create(AnySchema, { typeUrl: typeUrls.route, value });
      const expected = toBinary(ResourceSchema, create(ResourceSchema, { name, version, resource }));
      assert.ok(Buffer.from(encoded).equals(expected), `${Buffer.from(encoded).toString("hex")}`);
    }),
  );
});

test("the same bytes under the same name are one object", () => {
  const [first, second] = [Buffer.from("first"), Buffer.from("second")].map(fragmentOf);
  const made = resourceOf(typeUrls.route, "80", [first!, second!]);
  assert.is(resourceOf(typeUrls.route, "80", [first!, fragmentOf(Buffer.from("second"))]), made);
  assert.is.not(resourceOf(typeUrls.route, "80", [second!, first!]).version, made.version);
});

test.run();
