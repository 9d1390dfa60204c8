import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { TypedStructSchema } from "../proto/xds/type/v3/typed_struct_pb.js";
import { packed } from "./encode.js";

export type StructFields = NonNullable<MessageInitShape<typeof TypedStructSchema>["value"]>;

/** A message of a type that is newer than our Envoy types, by the JSON names of its fields. */
export const typedStruct = (type: string, value: StructFields): Any =>
  packed(TypedStructSchema, create(TypedStructSchema, { typeUrl: `type.googleapis.com/${type}`, value }));
