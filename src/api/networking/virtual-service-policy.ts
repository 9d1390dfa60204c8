import { type Static, Type } from "typebox";
import { durationField } from "./duration-field.js";
import { atMostOne, message, percent, stringMatch, strings } from "./virtual-service-common.js";

const headerOperations = (description: string) =>
  message(
    {
      set: Type.Optional(
        Type.Record(Type.String(), Type.String(), { description: "Headers by name, which replace those there are." }),
      ),
      add: Type.Optional(
        Type.Record(Type.String(), Type.String(), { description: "Headers by name, added to those there are." }),
      ),
      remove: Type.Optional(strings("Names of headers to remove.")),
    },
    description,
  );

export const headers = (description: string) =>
  message(
    {
      request: Type.Optional(headerOperations("Changes to the request. `host` in set or add rewrites the authority.")),
      response: Type.Optional(headerOperations("Changes to the response.")),
    },
    description,
  );

export const redirect = message(
  {
    uri: Type.Optional(Type.String({ description: "Path that takes the place of the whole path." })),
    prefixRewrite: Type.Optional(Type.String({ description: "What takes the place of the matched prefix." })),
    authority: Type.Optional(Type.String({ description: "Host of the new address." })),
    port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535, description: "Port of the new address." })),
    derivePort: Type.Optional(
      Type.Enum(["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"], {
        description: "Port of the new address: the scheme's usual one, or the one that the request came to.",
      }),
    ),
    scheme: Type.Optional(Type.String({ description: "Scheme of the new address: `http` or `https`." })),
    redirectCode: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 399, description: "301 (if unset), 302, 303, 307 or 308." }),
    ),
  },
  "Answer with a redirect.",
  atMostOne(["port", "derivePort"]),
);

export const directResponse = message(
  {
    status: Type.Integer({ minimum: 0, maximum: 599, description: "HTTP status from 200 to 599." }),
    body: Type.Optional(
      message(
        {
          string: Type.Optional(Type.String({ description: "The body as text." })),
          bytes: Type.Optional(Type.String({ format: "byte", description: "The body in Base64." })),
        },
        "Body of the response, at most 1 MiB.",
        { maxProperties: 1 },
      ),
    ),
  },
  "Answer from the proxy itself.",
);

export const rewrite = message(
  {
    uri: Type.Optional(
      Type.String({
        description: "What takes the place of the matched prefix, or of the path if it was matched exactly.",
      }),
    ),
    authority: Type.Optional(Type.String({ description: "New authority (Host)." })),
    uriRegexRewrite: Type.Optional(
      message(
        {
          match: Type.Optional(Type.String({ description: "Regular expression (RE2) for a part of the path." })),
          rewrite: Type.Optional(
            Type.String({ description: "What takes that part's place; `\\1` stands for what the first group holds." }),
          ),
        },
        "Rewrite of the path by regular expression.",
      ),
    ),
  },
  "Changes to path and authority before the request goes on.",
  atMostOne(["uri", "uriRegexRewrite"]),
);

export const retries = message(
  {
    attempts: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 2147483647, description: "How often to try again at most; 0 not at all." }),
    ),
    perTryTimeout: Type.Optional(durationField("Time for each attempt; the route's timeout if unset.", { zero: true })),
    retryOn: Type.Optional(
      Type.String({ description: "Comma-separated conditions as Envoy names them, and HTTP statuses as numbers." }),
    ),
    retryRemoteLocalities: Type.Optional(
      Type.Boolean({ description: "Whether an attempt may go to another locality than those before." }),
    ),
    retryIgnorePreviousHosts: Type.Optional(
      Type.Boolean({ description: "Whether an attempt avoids hosts tried before; so unless a hash chooses the host." }),
    ),
    backoff: Type.Optional(durationField("Shortest wait between attempts; 25 ms if unset.")),
  },
  "When and how often to try again.",
);

export const fault = message(
  {
    delay: Type.Optional(
      message(
        {
          percentage: Type.Optional(percent("Share of the requests to delay; none if unset.")),
          percent: Type.Optional(
            Type.Integer({ minimum: 0, maximum: 100, description: "Deprecated: use `percentage`." }),
          ),
          fixedDelay: Type.Optional(durationField("How long to wait, at least 1 ms.")),
          exponentialDelay: Type.Optional(durationField("Not implemented.")),
        },
        "Make requests wait before they go on.",
        atMostOne(["fixedDelay", "exponentialDelay"]),
      ),
    ),
    abort: Type.Optional(
      message(
        {
          percentage: Type.Optional(percent("Share of the requests to fail; none if unset.")),
          httpStatus: Type.Optional(
            Type.Integer({ minimum: 0, maximum: 599, description: "HTTP status to answer with, from 200 to 599." }),
          ),
          grpcStatus: Type.Optional(
            Type.String({ description: "gRPC status to answer with, by name: `UNAVAILABLE`." }),
          ),
          http2Error: Type.Optional(Type.String({ description: "Not implemented." })),
        },
        "Answer requests with a failure.",
        atMostOne(["httpStatus", "grpcStatus", "http2Error"]),
      ),
    ),
  },
  "Faults that the caller's proxy injects.",
);

export const corsPolicy = message(
  {
    allowOrigin: Type.Optional(strings("Deprecated: use `allowOrigins` with `exact`.")),
    allowOrigins: Type.Optional(
      Type.Array(stringMatch("An origin, such as `https://example.com`."), { description: "Origins to allow." }),
    ),
    allowMethods: Type.Optional(strings("Methods to allow (Access-Control-Allow-Methods).")),
    allowHeaders: Type.Optional(strings("Request headers to allow (Access-Control-Allow-Headers).")),
    exposeHeaders: Type.Optional(strings("Response headers that scripts may read (Access-Control-Expose-Headers).")),
    maxAge: Type.Optional(
      durationField("How long an answer to a preflight may be kept, in whole seconds.", { zero: true }),
    ),
    allowCredentials: Type.Optional(Type.Boolean({ description: "Whether the request may carry credentials." })),
    unmatchedPreflights: Type.Optional(
      Type.Enum(["UNSPECIFIED", "FORWARD", "IGNORE"], {
        description:
          "A preflight of another origin goes on to the application (FORWARD, if unset) or ends here (IGNORE).",
      }),
    ),
  },
  "Cross-origin resource sharing, answered by the caller's proxy.",
);

export type Headers = Static<ReturnType<typeof headers>>;
export type HeaderOperations = Static<ReturnType<typeof headerOperations>>;
export type HttpRedirect = Static<typeof redirect>;
export type HttpDirectResponse = Static<typeof directResponse>;
export type HttpRewrite = Static<typeof rewrite>;
export type HttpRetry = Static<typeof retries>;
export type HttpFaultInjection = Static<typeof fault>;
export type CorsPolicy = Static<typeof corsPolicy>;
