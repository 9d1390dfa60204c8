import { createHash } from "node:crypto";
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyPack } from "@bufbuild/protobuf/wkt";
import { ResourceSchema } from "../proto/envoy/service/discovery/v3/discovery_pb.js";
import type { EncodedResource, TypeUrl } from "./resources.js";

/** A message in an Any, built from its initial values. */
export const packed = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Any =>
  anyPack(schema, message);

export const encodeResource = <Desc extends DescMessage>(
  type: TypeUrl,
  name: string,
  schema: Desc,
  message: MessageShape<Desc>,
): EncodedResource => {
  const value = toBinary(schema, message);
  const version = createHash("sha256").update(value).digest("base64url").slice(0, 16);
  const resource = create(ResourceSchema, { name, version, resource: create(AnySchema, { typeUrl: type, value }) });
  return { name, version, encoded: toBinary(ResourceSchema, resource) };
};
