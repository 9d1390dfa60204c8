import { parseDuration } from "../api/duration.js";

/** A protobuf Duration. */
export const durationOf = (milliseconds: number): { readonly seconds: bigint; readonly nanos: number } => {
  const nanoseconds = Math.round(milliseconds * 1_000_000);
  return { seconds: BigInt(Math.floor(nanoseconds / 1_000_000_000)), nanos: nanoseconds % 1_000_000_000 };
};

/** A protobuf Duration of Istio's text; undefined for no text, and for a text that is no duration of zero or more. */
export const durationOfText = (text: string | undefined): ReturnType<typeof durationOf> | undefined => {
  const milliseconds = text === undefined ? undefined : parseDuration(text);
  return milliseconds === undefined || milliseconds < 0 ? undefined : durationOf(milliseconds);
};
