import { type Static, Type } from "typebox";
import { parseDuration } from "./duration.js";
import { error, errorIf, repeated, show, warning } from "./findings.js";
import type { Finding } from "./kind.js";
import { domainFault, labelNameFault, portFault } from "./names.js";

const closed = { additionalProperties: false } as const;
const headers = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { maxItems: 256, description }));

const requestBody = Type.Optional(
  Type.Object(
    {
      maxRequestBytes: Type.Optional(Type.Integer({ minimum: 0, maximum: 4294967295 })),
      allowPartialMessage: Type.Optional(Type.Boolean()),
      packAsBytes: Type.Optional(Type.Boolean()),
    },
    { ...closed, description: "How much of a request's body is sent along." },
  ),
);

const common = {
  service: Type.String({ minLength: 1, maxLength: 320, description: "Full host name, or NAMESPACE/HOST." }),
  port: Type.Integer({ minimum: 1, maximum: 65535, description: "Port of the service." }),
  timeout: Type.Optional(Type.String({ format: "duration", description: "How long it may take; 600s if unset." })),
  failOpen: Type.Optional(Type.Boolean({ description: "Let requests pass if it cannot be asked." })),
  clearRouteCache: Type.Optional(Type.Boolean({ description: "Choose the route again by the headers it has set." })),
  statusOnError: Type.Optional(Type.String({ description: "HTTP status if it cannot be asked; 403 if unset." })),
  includeRequestBodyInCheck: requestBody,
};

const grpc = Type.Object(common, { ...closed, description: "Asked by Envoy's gRPC API for authorization." });

const http = Type.Object(
  {
    ...common,
    pathPrefix: Type.Optional(Type.String({ maxLength: 1024, description: "Comes before the request's path." })),
    includeHeadersInCheck: headers("As includeRequestHeadersInCheck; an older name."),
    includeRequestHeadersInCheck: headers("Headers of the request that it is told, also by prefix* and *suffix."),
    includeAdditionalHeadersInCheck: Type.Optional(
      Type.Record(Type.String(), Type.String(), { maxProperties: 256, description: "Further headers, by name." }),
    ),
    headersToUpstreamOnAllow: headers("Headers of its answer that go on to the workload."),
    headersToDownstreamOnDeny: headers("Headers of its answer that the caller gets with a refusal."),
    headersToDownstreamOnAllow: headers("Headers of its answer that the caller gets with the workload's."),
  },
  { ...closed, description: "Asked by an HTTP request; status 200 allows." },
);

/** The part of Istio's ExtensionProvider that is for external authorization. */
export const extensionProvidersSchema = Type.Array(
  Type.Object({
    name: Type.String({ minLength: 1, maxLength: 253, description: "Name that policies use." }),
    envoyExtAuthzHttp: Type.Optional(http),
    envoyExtAuthzGrpc: Type.Optional(grpc),
  }),
  { maxItems: 1000, description: "Services that policies ask." },
);

export type ExtensionProvider = Static<typeof extensionProvidersSchema>[number];
export type HttpAuthorizer = Static<typeof http>;
export type GrpcAuthorizer = Static<typeof grpc>;

/** Host of the service, which may be written with a namespace. */
export const authorizerHost = ({ service }: Pick<GrpcAuthorizer, "service">): string =>
  service.slice(service.indexOf("/") + 1).toLowerCase();

const serviceFault = (service: string): string | undefined => {
  const [first = "", second, ...rest] = service.split("/");
  if (rest.length > 0) return `${show(service)} has more than one "/"; write NAMESPACE/HOST`;
  if (second !== undefined) return labelNameFault(first) ?? domainFault(second);
  return first.includes(".") ? domainFault(first) : `${show(service)} is a short name; write the full host name`;
};

const checkAuthorizer = (authorizer: HttpAuthorizer | GrpcAuthorizer, path: string): readonly Finding[] => {
  const { service, port, timeout, statusOnError, includeRequestBodyInCheck: body } = authorizer;
  const status = Number(statusOnError);
  const pathPrefix = "pathPrefix" in authorizer ? authorizer.pathPrefix : undefined;
  return [
    ...errorIf(`${path}.service`, serviceFault(service)),
    ...errorIf(`${path}.port`, portFault(port)),
    ...(timeout !== undefined && (parseDuration(timeout) ?? 0) < 1
      ? [error(`${path}.timeout`, `${show(timeout)} is less than 1ms; give a longer duration, or leave it out`)]
      : []),
    ...(statusOnError !== undefined && !(Number.isInteger(status) && status >= 200 && status <= 599)
      ? [error(`${path}.statusOnError`, `${show(statusOnError)} is no HTTP status; write such as "503"`)]
      : []),
    ...(pathPrefix !== undefined && pathPrefix !== "" && !pathPrefix.startsWith("/")
      ? [error(`${path}.pathPrefix`, `${show(pathPrefix)} does not begin with "/"; add it`)]
      : []),
    ...(body !== undefined && !(body.maxRequestBytes ?? 0)
      ? [error(`${path}.includeRequestBodyInCheck.maxRequestBytes`, "is missing; say how many bytes are sent")]
      : []),
    ...(authorizer.failOpen
      ? [warning(`${path}.failOpen`, "true lets every request pass while the service cannot be asked")]
      : []),
  ];
};

export const checkExtensionProviders = (
  providers: readonly ExtensionProvider[] | undefined,
  path: string,
): readonly Finding[] => [
  ...(providers ?? []).flatMap(({ envoyExtAuthzHttp: overHttp, envoyExtAuthzGrpc: overGrpc }, index) => [
    ...(overHttp !== undefined && overGrpc !== undefined
      ? [error(`${path}[${index}]`, "envoyExtAuthzHttp and envoyExtAuthzGrpc exclude each other; remove one")]
      : []),
    ...(overHttp === undefined ? [] : checkAuthorizer(overHttp, `${path}[${index}].envoyExtAuthzHttp`)),
    ...(overGrpc === undefined ? [] : checkAuthorizer(overGrpc, `${path}[${index}].envoyExtAuthzGrpc`)),
  ]),
  ...repeated((providers ?? []).map(({ name }) => name)).map((index) =>
    error(`${path}[${index}].name`, `${show(providers?.[index]?.name)} is there twice; rename one`),
  ),
];
