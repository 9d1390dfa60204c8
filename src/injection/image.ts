import type { AnnotationSettings } from "./annotations.js";
import type { ProxySettings } from "./proxy-config.js";
import type { InjectionRequest } from "./types.js";

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

/** Images of the proxy and of istio-init: the annotation wins over the type, which is for both. */
export const imagesOf = (
  { values }: InjectionRequest,
  { proxyImage }: AnnotationSettings,
  { imageType }: ProxySettings,
): { readonly proxy: string; readonly init: string; readonly warnings: readonly string[] } => {
  if (proxyImage !== undefined) return { proxy: proxyImage, init: proxyImage, warnings: [] };
  if (imageType === undefined) return { proxy: values.proxyImage, init: values.initImage, warnings: [] };
  const proxy = imageOfType(values.proxyImage, imageType);
  return {
    proxy: proxy ?? values.proxyImage,
    init: imageOfType(values.initImage, imageType) ?? values.initImage,
    warnings:
      proxy === undefined ? [`imageType ${imageType} has no effect: the proxy's image is named by its digest`] : [],
  };
};
