import type {
  AuthorizationPolicy,
  HttpRequest,
  TcpRequest,
  Token,
  Workload,
} from "../../support/authorization/types.js";

export const workload = (fields: Partial<Workload> = {}): Workload => ({
  namespace: "shop",
  labels: { app: "cart", version: "v1" },
  rootNamespace: "istio-system",
  trustDomain: "cluster.local",
  trustDomainAliases: [],
  providers: { ask: "http", "ask-any": "grpc" },
  ...fields,
});

/** `web` of `shop`, or `namespace/account`, of a trust domain. */
export const peer = (account = "shop/web", trustDomain = "cluster.local") => {
  const [namespace = "", serviceAccount = ""] = account.split("/");
  return { trustDomain, namespace, serviceAccount };
};

const connection = {
  peer: peer(),
  sourceAddress: "10.1.2.3",
  destinationAddress: "10.1.0.7",
  destinationPort: 8080,
  serverName: undefined,
  external: "allow",
} as const;

export const http = (fields: Partial<HttpRequest> = {}): HttpRequest => ({
  ...connection,
  protocol: "http",
  method: "GET",
  authority: "cart.shop",
  path: "/info/1",
  headers: [],
  forwardedFor: [],
  token: undefined,
  ...fields,
});

export const tcp = (fields: Partial<TcpRequest> = {}): TcpRequest => ({ ...connection, protocol: "tcp", ...fields });

export const token = (fields: Partial<Token> = {}): Token => ({
  issuer: "https://accounts.example.com",
  subject: "alice",
  claims: {},
  ...fields,
});

export const policy = (
  spec: AuthorizationPolicy["spec"],
  metadata: Partial<AuthorizationPolicy["metadata"]> = {},
): AuthorizationPolicy => ({ metadata: { name: "policy", namespace: "shop", ...metadata }, spec });
