import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";

/** The fields to make a message from, and not a message that is made already: parts of one can be spread together. */
export type Init<Desc extends DescMessage> = Extract<MessageInitShape<Desc>, { readonly $typeName?: never }>;
