const knownTypes = ["debug", "distroless"] as const;

/**
 * The image of another type: its tag ends in the type after a dash, that of the type "default" in nothing. Undefined for
 * an image that is named by its digest, which says what it holds already.
 */
export const imageOfType = (image: string, type: string): string | undefined => {
  if (image.includes("@")) return undefined;
  const colon = image.lastIndexOf(":");
  const hasTag = colon > image.lastIndexOf("/");
  const name = hasTag ? image.slice(0, colon) : image;
  const tag = hasTag ? image.slice(colon + 1) : "latest";
  const before = knownTypes.find((known) => tag.endsWith(`-${known}`));
  const plain = before === undefined ? tag : tag.slice(0, -before.length - 1);
  return `${name}:${plain}${type === "default" ? "" : `-${type}`}`;
};
