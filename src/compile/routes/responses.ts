import type { HttpDirectResponse, HttpRedirect } from "../../api/networking/virtual-service.js";
import {
  type DirectResponseActionSchema,
  type RedirectActionSchema,
  RedirectAction_RedirectResponseCode as ResponseCode,
} from "../../proto/envoy/config/route/v3/route_components_pb.js";
import type { Init } from "../init.js";

/** What a RouteConfiguration has to allow. */
export { largestDirectResponse as maxDirectResponseBodyBytes } from "../../api/networking/virtual-service-match.js";

const responseCodes: Readonly<Record<number, ResponseCode>> = {
  301: ResponseCode.MOVED_PERMANENTLY,
  302: ResponseCode.FOUND,
  303: ResponseCode.SEE_OTHER,
  307: ResponseCode.TEMPORARY_REDIRECT,
  308: ResponseCode.PERMANENT_REDIRECT,
};

/** The port to name in the new address; none where the scheme implies it. */
const redirectPort = ({ port, derivePort, scheme }: HttpRedirect, listenerPort: number): number => {
  const named = port ?? (derivePort === "FROM_REQUEST_PORT" ? listenerPort : 0);
  return (named === 80 && scheme !== "https") || (named === 443 && scheme === "https") ? 0 : named;
};

export const redirectAction = (redirect: HttpRedirect, listenerPort: number): Init<typeof RedirectActionSchema> => ({
  hostRedirect: redirect.authority ?? "",
  portRedirect: redirectPort(redirect, listenerPort),
  responseCode: responseCodes[redirect.redirectCode ?? 301] ?? ResponseCode.MOVED_PERMANENTLY,
  ...(redirect.scheme ? { schemeRewriteSpecifier: { case: "schemeRedirect" as const, value: redirect.scheme } } : {}),
  ...(redirect.prefixRewrite
    ? { pathRewriteSpecifier: { case: "prefixRewrite" as const, value: redirect.prefixRewrite } }
    : redirect.uri
      ? { pathRewriteSpecifier: { case: "pathRedirect" as const, value: redirect.uri } }
      : {}),
});

export const directResponseAction = ({
  status,
  body,
}: HttpDirectResponse): Init<typeof DirectResponseActionSchema> => ({
  status,
  ...(body?.bytes !== undefined
    ? { body: { specifier: { case: "inlineBytes" as const, value: Buffer.from(body.bytes, "base64") } } }
    : body?.string !== undefined
      ? { body: { specifier: { case: "inlineString" as const, value: body.string } } }
      : {}),
});
