import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";

/** Initial values of a message, to spread and add to; never the message itself. */
export type Init<Desc extends DescMessage> = Exclude<MessageInitShape<Desc>, { readonly $typeName: string }>;
